-- Answers to requests that came with an Idempotency-Key: stored in the transaction of the work, so that an answer is there exactly
-- when its work is. The file `isolate` beside this one names the table; whoever applies migrations protects it accordingly.

CREATE TABLE public.idempotency_keys (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    caller      text NOT NULL,             -- who: user:<uuid>, and what other slices name theirs
    route       text NOT NULL,             -- method and template
    key         text NOT NULL,
    fingerprint text NOT NULL,             -- SHA-256 of method, path and body, in hexadecimal
    status      integer NOT NULL CHECK (status BETWEEN 200 AND 499),
    headers     jsonb NOT NULL,
    body        text NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, caller, route, key)
);

-- Each new answer takes a few expired ones with it.
CREATE INDEX idempotency_keys_expires_idx ON public.idempotency_keys (tenant_id, expires_at);
