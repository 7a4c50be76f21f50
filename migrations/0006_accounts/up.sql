-- Who is signed in, who signs up and who joins: sessions with a refresh token that is used once, counts of attempts, slugs that were given
-- up, invitations and API keys. What is no tenant's own belongs to bastide_owner; the application's login reaches it through the functions
-- below and in no other way. Tokens are kept as SHA-256 only, addresses and accounts of attempts too.
-- EXECUTE goes to the role that bastide.app_role names, as in 0002.

CREATE TABLE bastide.session (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL,
    merchant_id  uuid,                     -- the session is for this merchant alone; NULL: wherever the user works
    address      text NOT NULL,
    agent        text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    used_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    revoked_why  text                      -- sign_out, by_user, reuse
);
CREATE INDEX session_user_idx ON bastide.session (user_id, used_at);
CREATE INDEX session_expires_idx ON bastide.session (expires_at);

-- Every token a session ever had, so that one that comes back is known.
CREATE TABLE bastide.refresh_token (
    hash        text PRIMARY KEY CHECK (hash ~ '^[0-9a-f]{64}$'),
    session_id  uuid NOT NULL REFERENCES bastide.session ON DELETE CASCADE,
    used_at     timestamptz,               -- NULL: the one that may be used
    successor   text                       -- what it was changed for; NULL of one that was taken back unused
);
CREATE UNIQUE INDEX refresh_token_live_idx ON bastide.refresh_token (session_id) WHERE used_at IS NULL;
CREATE INDEX refresh_token_session_idx ON bastide.refresh_token (session_id);

CREATE TABLE bastide.attempt (
    subject   bytea PRIMARY KEY,           -- SHA-256 of what is counted: an account, an address
    count     integer NOT NULL,
    ends_at   timestamptz NOT NULL
);
CREATE INDEX attempt_ends_idx ON bastide.attempt (ends_at);

-- What operators did to merchants. Names no id: of a merchant that was deleted no other trace is left.
CREATE TABLE bastide.operator_act (
    at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    login    text NOT NULL DEFAULT session_user,
    act      text NOT NULL,                -- suspend, resume, rename, export, delete
    slug     text NOT NULL,
    details  jsonb NOT NULL
);
ALTER TABLE bastide.operator_act OWNER TO bastide_owner;

ALTER TABLE bastide.session OWNER TO bastide_owner;
ALTER TABLE bastide.refresh_token OWNER TO bastide_owner;
ALTER TABLE bastide.attempt OWNER TO bastide_owner;

-- Said twice, it is the same session. Takes a few that ended with it, so that the table stays as large as what is in use.
CREATE FUNCTION bastide.issue_session(session uuid, member uuid, merchant uuid, token text, lifetime integer, address text, agent text)
    RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
    DELETE FROM bastide.session WHERE id IN (
        SELECT s.id FROM bastide.session s WHERE s.expires_at < clock_timestamp() ORDER BY s.expires_at LIMIT 10 FOR UPDATE SKIP LOCKED);
    INSERT INTO bastide.session (id, user_id, merchant_id, address, agent, expires_at)
        VALUES (session, member, merchant, left(address, 64), left(agent, 200), clock_timestamp() + make_interval(secs => lifetime))
        ON CONFLICT DO NOTHING;
    INSERT INTO bastide.refresh_token (hash, session_id) VALUES (token, session) ON CONFLICT DO NOTHING;
    SELECT true
$body$;

-- Changes a token for the next one. `changed`; `reused`: it was used before, and its session is over now; `ended`: its session is over;
-- `unknown`. For `grace` seconds the token before is taken once more, should the answer have been lost on its way, and what it was changed
-- for is then taken back: there is never more than one token that may be used, so whoever holds a stolen one meets its owner.
CREATE FUNCTION bastide.rotate_session(given text, next text, grace integer)
    RETURNS TABLE (outcome text, session_id uuid, user_id uuid, merchant_id uuid)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER PARALLEL UNSAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
DECLARE
    token bastide.refresh_token;
    kept bastide.session;
BEGIN
    -- The session is locked before its tokens are judged: of two who come with one token, the second sees what the first did.
    SELECT s.* INTO kept FROM bastide.session s
        WHERE s.id = (SELECT t.session_id FROM bastide.refresh_token t WHERE t.hash = given) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::uuid, NULL::uuid, NULL::uuid;
        RETURN;
    END IF;
    IF kept.revoked_at IS NOT NULL OR kept.expires_at < clock_timestamp()
        OR NOT EXISTS (SELECT FROM public.users u WHERE u.id = kept.user_id AND u.is_active) THEN
        RETURN QUERY SELECT 'ended', kept.id, kept.user_id, kept.merchant_id;
        RETURN;
    END IF;
    SELECT t.* INTO token FROM bastide.refresh_token t WHERE t.hash = given;
    -- Said twice with the same successor: the caller's connection was lost in between.
    IF token.used_at IS NULL OR token.successor IS DISTINCT FROM next THEN
        IF token.used_at IS NOT NULL THEN
            UPDATE bastide.refresh_token t SET used_at = clock_timestamp()
                WHERE t.hash = token.successor AND t.used_at IS NULL AND token.used_at > clock_timestamp() - make_interval(secs => grace);
            IF NOT FOUND THEN
                UPDATE bastide.session s SET revoked_at = clock_timestamp(), revoked_why = 'reuse' WHERE s.id = kept.id;
                RETURN QUERY SELECT 'reused', kept.id, kept.user_id, kept.merchant_id;
                RETURN;
            END IF;
        END IF;
        UPDATE bastide.refresh_token t SET used_at = coalesce(t.used_at, clock_timestamp()), successor = next WHERE t.hash = given;
        INSERT INTO bastide.refresh_token (hash, session_id) VALUES (next, kept.id);
        UPDATE bastide.session s SET used_at = clock_timestamp() WHERE s.id = kept.id;
    END IF;
    RETURN QUERY SELECT 'changed', kept.id, kept.user_id, kept.merchant_id;
END
$body$;

-- Whether there was one to end. Nobody ends another's.
CREATE FUNCTION bastide.revoke_session(session uuid, member uuid, why text) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
    WITH ended AS (
        UPDATE bastide.session s SET revoked_at = clock_timestamp(), revoked_why = why
        WHERE s.id = session AND s.user_id = member AND s.revoked_at IS NULL AND s.expires_at > clock_timestamp()
        RETURNING 1
    ) SELECT EXISTS (SELECT FROM ended)
$body$;

-- The user that a refresh token signs out, whether or not it is the newest; NULL when there is none.
CREATE FUNCTION bastide.revoke_by_token(given text) RETURNS uuid
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
    UPDATE bastide.session s SET revoked_at = clock_timestamp(), revoked_why = 'sign_out'
    WHERE s.id = (SELECT t.session_id FROM bastide.refresh_token t WHERE t.hash = given) AND s.revoked_at IS NULL
    RETURNING s.user_id
$body$;

-- What somebody has open, the last used first.
CREATE FUNCTION bastide.sessions_of(member uuid)
    RETURNS TABLE (id uuid, merchant_id uuid, address text, agent text, created_at timestamptz, used_at timestamptz, expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT s.id, s.merchant_id, s.address, s.agent, s.created_at, s.used_at, s.expires_at
    FROM bastide.session s
    WHERE s.user_id = member AND s.revoked_at IS NULL AND s.expires_at > clock_timestamp()
    ORDER BY s.used_at DESC, s.id LIMIT 100
$body$;

-- Counts an attempt and says how many seconds to wait: 0 is go on. Counted before it is known how it ends, so that many at once are many.
-- While one waits nothing more is counted: the wait does not grow by being tried.
CREATE FUNCTION bastide.count_attempt(subject text, most integer, seconds integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
DECLARE
    key bytea := sha256(convert_to($1, 'UTF8'));
    counted bastide.attempt;
BEGIN
    DELETE FROM bastide.attempt WHERE subject IN (
        SELECT a.subject FROM bastide.attempt a WHERE a.ends_at < clock_timestamp() AND a.subject <> key
        ORDER BY a.ends_at LIMIT 10 FOR UPDATE SKIP LOCKED);
    INSERT INTO bastide.attempt AS a (subject, count, ends_at) VALUES (key, 1, clock_timestamp() + make_interval(secs => $3))
        ON CONFLICT (subject) DO UPDATE SET
            count = CASE WHEN a.ends_at < clock_timestamp() THEN 1 ELSE least(a.count, $2) + 1 END,
            ends_at = CASE WHEN a.ends_at < clock_timestamp() THEN excluded.ends_at ELSE a.ends_at END
        RETURNING * INTO counted;
    RETURN CASE WHEN counted.count <= $2 THEN 0
        ELSE greatest(1, ceil(extract(epoch FROM counted.ends_at - clock_timestamp())))::integer END;
END
$body$;

-- It went well: what was counted of this subject is forgotten.
CREATE FUNCTION bastide.forget_attempts(subject text) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
    DELETE FROM bastide.attempt a WHERE a.subject = sha256(convert_to($1, 'UTF8'));
    SELECT true
$body$;

-- Slugs that merchants had: they lead to where the merchant is now, and to nobody else.
CREATE TABLE bastide.slug_before (
    slug      text PRIMARY KEY,
    merchant  uuid NOT NULL,
    until     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX slug_before_merchant_idx ON bastide.slug_before (merchant);
ALTER TABLE bastide.slug_before OWNER TO bastide_owner;

-- After the row: whoever waited for another's change of the same slug sees it.
CREATE FUNCTION bastide.keep_slug() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF EXISTS (SELECT FROM bastide.slug_before b WHERE b.slug = NEW.slug AND b.merchant <> NEW.id) THEN
        RAISE unique_violation USING MESSAGE = 'the slug was another merchant''s', CONSTRAINT = 'merchants_slug_before';
    END IF;
    DELETE FROM bastide.slug_before b WHERE b.slug = NEW.slug;
    IF TG_OP = 'UPDATE' AND OLD.slug <> NEW.slug THEN
        -- Slugs are kept for ever, and there is one of each: nobody may rename their way through the dictionary.
        IF (SELECT count(*) FROM bastide.slug_before b WHERE b.merchant = NEW.id) >= 10 THEN
            RAISE check_violation USING MESSAGE = 'a merchant keeps ten slugs besides its own', CONSTRAINT = 'merchants_slugs_kept';
        END IF;
        INSERT INTO bastide.slug_before (slug, merchant) VALUES (OLD.slug, NEW.id);
    END IF;
    RETURN NULL;
END
$body$;

ALTER FUNCTION bastide.keep_slug() OWNER TO bastide_owner;
REVOKE ALL ON FUNCTION bastide.keep_slug() FROM PUBLIC;
CREATE TRIGGER bastide_keep_slug AFTER INSERT OR UPDATE OF slug ON public.merchants FOR EACH ROW EXECUTE FUNCTION bastide.keep_slug();

-- Where a merchant is that had this slug.
CREATE FUNCTION bastide.slug_after(wanted text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT m.slug::text FROM bastide.slug_before b JOIN public.merchants m ON m.id = b.merchant WHERE b.slug = wanted AND m.status = 'active'
$body$;

-- Of those that are asked for, the slugs that somebody has or had.
CREATE FUNCTION bastide.slugs_taken(wanted jsonb) RETURNS TABLE (slug text)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 5
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT w.slug FROM (SELECT jsonb_array_elements_text(wanted) AS slug LIMIT 20) w
    WHERE EXISTS (SELECT FROM public.merchants m WHERE m.slug = w.slug) OR EXISTS (SELECT FROM bastide.slug_before b WHERE b.slug = w.slug)
$body$;

GRANT INSERT (id, slug, name, currency) ON public.merchants TO bastide_owner;

-- The application's login may make no row of the root: this makes the one that its context already names.
CREATE FUNCTION bastide.create_merchant(slug text, name text, currency text) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
    INSERT INTO public.merchants (id, slug, name, currency) VALUES (bastide.current_tenant()::uuid, $1, $2, $3);
    SELECT true
$body$;

GRANT INSERT (id, email, name, password_hash) ON public.users TO bastide_owner;
CREATE INDEX users_lower_email_idx ON public.users (lower(email));
GRANT SELECT (name) ON public.users TO bastide_owner;

-- False: somebody has that address.
CREATE FUNCTION bastide.create_user(member uuid, email text, name text, password_hash text) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $body$
    -- Accounts of before may have capitals in their addresses. The lock: of two who come at once with the same, one sees the other.
    SELECT pg_advisory_xact_lock(hashtextextended('bastide user ' || lower($2), 0));
    WITH made AS (
        INSERT INTO public.users (id, email, name, password_hash)
            SELECT member, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM public.users u WHERE lower(u.email) = lower($2))
            ON CONFLICT (email) DO NOTHING RETURNING 1
    ) SELECT EXISTS (SELECT FROM made)
$body$;

-- Whom a user is known as.
CREATE FUNCTION bastide.user_by_id(member uuid) RETURNS TABLE (email text, name text)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT u.email, u.name FROM public.users u WHERE u.id = member AND u.is_active
$body$;

-- The team of the merchant that the context names, by name; 500 at most.
CREATE FUNCTION bastide.team_of() RETURNS TABLE (user_id uuid, email text, name text, role text, active boolean)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 10
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT u.id, u.email, u.name, t.role::text, coalesce(u.is_active, false)
    FROM public.team_members t JOIN public.users u ON u.id = t.user_id
    WHERE t.merchant_id = (SELECT bastide.current_tenant()::uuid) ORDER BY u.name, u.id LIMIT 500
$body$;

CREATE TABLE public.invitations (
    tenant_id    uuid NOT NULL REFERENCES public.merchants (id),
    id           uuid NOT NULL,
    email        text NOT NULL,
    role         text NOT NULL CHECK (role IN ('owner', 'admin', 'staff', 'viewer')),
    token_hash   text NOT NULL CHECK (token_hash ~ '^[0-9a-f]{64}$'),
    invited_by   uuid NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at   timestamptz NOT NULL,
    accepted_at  timestamptz,
    accepted_by  uuid,
    PRIMARY KEY (tenant_id, id)
);
-- Not unique: of 256 random bits there are no two, and a constraint across tenants would be a question one can ask.
CREATE INDEX invitations_token_idx ON public.invitations (token_hash);
GRANT SELECT (tenant_id, token_hash) ON public.invitations TO bastide_owner;

CREATE FUNCTION bastide.merchant_of_invitation(token text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT i.tenant_id FROM public.invitations i WHERE i.token_hash = token LIMIT 1
$body$;

CREATE TABLE public.api_keys (
    tenant_id   uuid NOT NULL REFERENCES public.merchants (id),
    id          uuid NOT NULL,
    name        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('publishable', 'secret')),
    prefix      text NOT NULL,             -- its first characters, by which people know it
    hash        text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    scopes      jsonb NOT NULL,            -- names of permissions
    created_by  uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at  timestamptz,
    revoked_at  timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX api_keys_hash_idx ON public.api_keys (hash);
GRANT SELECT (tenant_id, id, kind, hash, scopes, expires_at, revoked_at) ON public.api_keys TO bastide_owner;

CREATE FUNCTION bastide.api_key(given text) RETURNS TABLE (id uuid, merchant_id uuid, kind text, scopes jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED ROWS 1
    SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT k.id, k.tenant_id, k.kind, k.scopes FROM public.api_keys k
    WHERE k.hash = given AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) LIMIT 1
$body$;

DO $do$
DECLARE
    app_role text := coalesce(nullif(current_setting('bastide.app_role', true), ''), 'bastide_app');
    made text;
BEGIN
    FOREACH made IN ARRAY ARRAY[
        'issue_session(uuid, uuid, uuid, text, integer, text, text)', 'rotate_session(text, text, integer)',
        'revoke_session(uuid, uuid, text)', 'revoke_by_token(text)', 'sessions_of(uuid)',
        'count_attempt(text, integer, integer)', 'forget_attempts(text)', 'slug_after(text)', 'slugs_taken(jsonb)',
        'create_merchant(text, text, text)', 'create_user(uuid, text, text, text)', 'user_by_id(uuid)', 'team_of()', 'merchant_of_invitation(text)', 'api_key(text)']
    LOOP
        EXECUTE 'ALTER FUNCTION bastide.' || made || ' OWNER TO bastide_owner';
        EXECUTE 'REVOKE ALL ON FUNCTION bastide.' || made || ' FROM PUBLIC';
        EXECUTE format('GRANT EXECUTE ON FUNCTION bastide.%s TO %I', made, app_role);
    END LOOP;
END
$do$;

-- Whoever signs up names a currency: those of ISO 4217 (list one of 2025, without funds, metals and test codes) that the platform does not
-- have yet, with their digits after the point. Which ones came is kept, so that down takes no other.
CREATE TABLE bastide.currency_added (code text PRIMARY KEY);
ALTER TABLE bastide.currency_added OWNER TO bastide_owner;
WITH listed (code, name, exponent) AS (VALUES
        ('AED', 'UAE dirham', 2), ('AFN', 'Afghani', 2), ('ALL', 'Lek', 2), ('AMD', 'Armenian dram', 2), ('AOA', 'Kwanza', 2),
        ('ARS', 'Argentine peso', 2), ('AUD', 'Australian dollar', 2), ('AWG', 'Aruban florin', 2), ('AZN', 'Azerbaijan manat', 2),
        ('BAM', 'Convertible mark', 2), ('BBD', 'Barbados dollar', 2), ('BDT', 'Taka', 2), ('BHD', 'Bahraini dinar', 3),
        ('BIF', 'Burundi franc', 0), ('BMD', 'Bermudian dollar', 2), ('BND', 'Brunei dollar', 2), ('BOB', 'Boliviano', 2),
        ('BRL', 'Brazilian real', 2), ('BSD', 'Bahamian dollar', 2), ('BTN', 'Ngultrum', 2), ('BWP', 'Pula', 2),
        ('BYN', 'Belarusian ruble', 2), ('BZD', 'Belize dollar', 2), ('CAD', 'Canadian dollar', 2), ('CDF', 'Congolese franc', 2),
        ('CHF', 'Swiss franc', 2), ('CLP', 'Chilean peso', 0), ('CNY', 'Yuan renminbi', 2), ('COP', 'Colombian peso', 2),
        ('CRC', 'Costa Rican colon', 2), ('CUP', 'Cuban peso', 2), ('CVE', 'Cabo Verde escudo', 2), ('CZK', 'Czech koruna', 2),
        ('DJF', 'Djibouti franc', 0), ('DKK', 'Danish krone', 2), ('DOP', 'Dominican peso', 2), ('DZD', 'Algerian dinar', 2),
        ('EGP', 'Egyptian pound', 2), ('ERN', 'Nakfa', 2), ('ETB', 'Ethiopian birr', 2), ('EUR', 'Euro', 2), ('FJD', 'Fiji dollar', 2),
        ('FKP', 'Falkland Islands pound', 2), ('GBP', 'Pound sterling', 2), ('GEL', 'Lari', 2), ('GHS', 'Ghana cedi', 2),
        ('GIP', 'Gibraltar pound', 2), ('GMD', 'Dalasi', 2), ('GNF', 'Guinean franc', 0), ('GTQ', 'Quetzal', 2),
        ('GYD', 'Guyana dollar', 2), ('HKD', 'Hong Kong dollar', 2), ('HNL', 'Lempira', 2), ('HTG', 'Gourde', 2), ('HUF', 'Forint', 2),
        ('IDR', 'Rupiah', 2), ('ILS', 'New Israeli sheqel', 2), ('INR', 'Indian rupee', 2), ('IQD', 'Iraqi dinar', 3),
        ('IRR', 'Iranian rial', 2), ('ISK', 'Iceland krona', 0), ('JMD', 'Jamaican dollar', 2), ('JOD', 'Jordanian dinar', 3),
        ('JPY', 'Yen', 0), ('KES', 'Kenyan shilling', 2), ('KGS', 'Som', 2), ('KHR', 'Riel', 2), ('KMF', 'Comorian franc', 0),
        ('KPW', 'North Korean won', 2), ('KRW', 'Won', 0), ('KWD', 'Kuwaiti dinar', 3), ('KYD', 'Cayman Islands dollar', 2),
        ('KZT', 'Tenge', 2), ('LAK', 'Lao kip', 2), ('LBP', 'Lebanese pound', 2), ('LKR', 'Sri Lanka rupee', 2),
        ('LRD', 'Liberian dollar', 2), ('LSL', 'Loti', 2), ('LYD', 'Libyan dinar', 3), ('MAD', 'Moroccan dirham', 2),
        ('MDL', 'Moldovan leu', 2), ('MGA', 'Malagasy ariary', 2), ('MKD', 'Denar', 2), ('MMK', 'Kyat', 2), ('MNT', 'Tugrik', 2),
        ('MOP', 'Pataca', 2), ('MRU', 'Ouguiya', 2), ('MUR', 'Mauritius rupee', 2), ('MVR', 'Rufiyaa', 2), ('MWK', 'Malawi kwacha', 2),
        ('MXN', 'Mexican peso', 2), ('MYR', 'Malaysian ringgit', 2), ('MZN', 'Mozambique metical', 2), ('NAD', 'Namibia dollar', 2),
        ('NGN', 'Naira', 2), ('NIO', 'Cordoba oro', 2), ('NOK', 'Norwegian krone', 2), ('NPR', 'Nepalese rupee', 2),
        ('NZD', 'New Zealand dollar', 2), ('OMR', 'Rial omani', 3), ('PAB', 'Balboa', 2), ('PEN', 'Sol', 2), ('PGK', 'Kina', 2),
        ('PHP', 'Philippine peso', 2), ('PKR', 'Pakistan rupee', 2), ('PLN', 'Zloty', 2), ('PYG', 'Guarani', 0),
        ('QAR', 'Qatari rial', 2), ('RON', 'Romanian leu', 2), ('RSD', 'Serbian dinar', 2), ('RUB', 'Russian ruble', 2),
        ('RWF', 'Rwanda franc', 0), ('SAR', 'Saudi riyal', 2), ('SBD', 'Solomon Islands dollar', 2), ('SCR', 'Seychelles rupee', 2),
        ('SDG', 'Sudanese pound', 2), ('SEK', 'Swedish krona', 2), ('SGD', 'Singapore dollar', 2), ('SHP', 'Saint Helena pound', 2),
        ('SLE', 'Leone', 2), ('SOS', 'Somali shilling', 2), ('SRD', 'Surinam dollar', 2), ('SSP', 'South Sudanese pound', 2),
        ('STN', 'Dobra', 2), ('SVC', 'El Salvador colon', 2), ('SYP', 'Syrian pound', 2), ('SZL', 'Lilangeni', 2), ('THB', 'Baht', 2),
        ('TJS', 'Somoni', 2), ('TMT', 'Turkmenistan new manat', 2), ('TND', 'Tunisian dinar', 3), ('TOP', 'Pa’anga', 2),
        ('TRY', 'Turkish lira', 2), ('TTD', 'Trinidad and Tobago dollar', 2), ('TWD', 'New Taiwan dollar', 2),
        ('TZS', 'Tanzanian shilling', 2), ('UAH', 'Hryvnia', 2), ('UGX', 'Uganda shilling', 0), ('USD', 'US dollar', 2),
        ('UYU', 'Peso uruguayo', 2), ('UZS', 'Uzbekistan sum', 2), ('VES', 'Bolivar soberano', 2), ('VND', 'Dong', 0),
        ('VUV', 'Vatu', 0), ('WST', 'Tala', 2), ('XAF', 'CFA franc BEAC', 0), ('XCD', 'East Caribbean dollar', 2),
        ('XOF', 'CFA franc BCEAO', 0), ('XPF', 'CFP franc', 0), ('YER', 'Yemeni rial', 2), ('ZAR', 'Rand', 2),
        ('ZMW', 'Zambian kwacha', 2)),
came AS (
    INSERT INTO public.currencies (code, name, exponent)
        SELECT l.code, l.name, l.exponent FROM listed AS l
        ON CONFLICT (code) DO NOTHING RETURNING code::text
)
INSERT INTO bastide.currency_added SELECT code FROM came;
