-- What Bastide keeps in the database it migrates. Created in one transaction before the first step; owned by the NOLOGIN
-- role bastide_owner. The application's login can reach none of these tables.
-- A run that was rolled back leaves its history behind, so each object is made only where it is missing.
CREATE SCHEMA IF NOT EXISTS bastide AUTHORIZATION bastide_owner;
GRANT USAGE ON SCHEMA bastide TO PUBLIC;
SET LOCAL ROLE bastide_owner;

CREATE TABLE IF NOT EXISTS bastide.run (
    id          uuid PRIMARY KEY,
    format      integer NOT NULL,          -- of the journal; a newer binary reads older ones
    bastide     text NOT NULL,             -- version of the binary that began it
    state       text NOT NULL,
    phase       text NOT NULL,
    plan        jsonb NOT NULL,
    error       text,
    phases      jsonb NOT NULL DEFAULT '[]',
    backup      jsonb,
    before      jsonb,                     -- schema dump hash and table fingerprints, what rollback is compared with
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz
);

CREATE TABLE IF NOT EXISTS bastide.journal (
    run_id      uuid NOT NULL REFERENCES bastide.run,
    step        text NOT NULL,             -- identity: never its position
    ordinal     integer NOT NULL,          -- order in which steps ran; undone in reverse
    phase       text NOT NULL,
    state       text NOT NULL,             -- planned, started, done, undoing, undone, failed
    text        text NOT NULL,
    forward     jsonb NOT NULL,
    inverse     jsonb NOT NULL,            -- stored before the forward script runs
    cursor      text,
    rows        bigint,
    attempts    integer NOT NULL DEFAULT 0,
    waited_ms   double precision NOT NULL DEFAULT 0,
    held_ms     double precision NOT NULL DEFAULT 0,
    started_at  timestamptz,
    done_at     timestamptz,
    undone_at   timestamptz,
    error       text,
    PRIMARY KEY (run_id, step)
);

-- Evidence: each path by which rows got a tenant (or did not).
CREATE TABLE IF NOT EXISTS bastide.rule (
    run_id      uuid NOT NULL REFERENCES bastide.run,
    id          integer NOT NULL,
    relation    text NOT NULL,             -- quoted as in SQL, schema included
    kind        text NOT NULL,             -- parent, child, declared, conflict, unreachable
    path        text NOT NULL,
    PRIMARY KEY (run_id, id)
);

CREATE TABLE IF NOT EXISTS bastide.assignment (
    run_id      uuid NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    relation    text NOT NULL,             -- as rule.relation
    key         jsonb NOT NULL,            -- array of the key's values as text; ["md5:…"] for a row without a key
    tenant      text,                      -- NULL: nothing settled it and there is no quarantine
    rule        integer NOT NULL,
    PRIMARY KEY (run_id, relation, seq)
);

-- Keys and tenants that rules gave in files.
CREATE TABLE IF NOT EXISTS bastide.given (
    run_id      uuid NOT NULL,
    rule        text NOT NULL,
    key         jsonb NOT NULL,            -- as assignment.key
    tenant      text NOT NULL,
    PRIMARY KEY (run_id, rule, key)
);

CREATE TABLE IF NOT EXISTS bastide.held (
    run_id      uuid NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation    text NOT NULL,
    key         jsonb NOT NULL,
    tenant      text,
    row         text NOT NULL,             -- the row's own literal, (t.*)::text: reads back exactly
    reason      text NOT NULL,
    held_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    restored_at timestamptz
);

CREATE TABLE IF NOT EXISTS bastide.scope (
    schema        text NOT NULL,
    "table"       text NOT NULL,
    tenant_column text NOT NULL,
    run_id        uuid NOT NULL,
    PRIMARY KEY (schema, "table")
);

CREATE TABLE IF NOT EXISTS bastide.audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL DEFAULT session_user,
    action      text NOT NULL,
    object      text,
    detail      jsonb
);

RESET ROLE;
