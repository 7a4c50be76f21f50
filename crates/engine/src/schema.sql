-- What Bastide keeps in the database it migrates. Created in one transaction before the first step; owned by the NOLOGIN
-- role bastide_owner. The application's login can reach none of these tables.
-- A run that was rolled back leaves its history behind, so each object is made only where it is missing.
-- Made by the migrating login and handed over at the end: the shop's event triggers run with the rights of whoever makes.
CREATE SCHEMA IF NOT EXISTS bastide AUTHORIZATION bastide_owner;
GRANT USAGE ON SCHEMA bastide TO PUBLIC;

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
    backup_choice jsonb,                   -- list, restore, or none and on whose word
    before      jsonb,                     -- schema dump hash and table fingerprints, what rollback is compared with
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz
);
-- A rolled back run of an older version may have left the table.
ALTER TABLE bastide.run ADD COLUMN IF NOT EXISTS backup_choice jsonb;

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

-- Until 0.1 a table with one line per row. A run begins only when none is pending, so nothing should be left in it.
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass('bastide.assignment') AND relkind = 'r') THEN
    IF EXISTS (SELECT FROM bastide.assignment) THEN
      RAISE EXCEPTION 'bastide.assignment holds evidence that an older Bastide recorded; copy what is still of use, then run TRUNCATE bastide.assignment'
        USING ERRCODE = '55000';
    END IF;
    DROP TABLE bastide.assignment;
  END IF;
END $$;

-- The tenants that rows were given, so that a row needs a number instead of, say, a uuid.
CREATE TABLE IF NOT EXISTS bastide.assigned_tenant (
    run_id      uuid NOT NULL,
    id          integer GENERATED ALWAYS AS IDENTITY,
    tenant      text NOT NULL,
    PRIMARY KEY (run_id, id)
);

-- What inference found of each row, packed: one line for up to 1,000 rows that follow each other in the user's table. The
-- n-th elements of the three lists speak of row number seq + n - 1.
CREATE TABLE IF NOT EXISTS bastide.assigned (
    run_id      uuid NOT NULL,
    relation    text NOT NULL,             -- as rule.relation
    seq         bigint NOT NULL,           -- number of the first row, from 1 in each relation
    rows        integer NOT NULL,
    with_tenant integer NOT NULL,          -- how many of them got one
    pass        integer NOT NULL,          -- of the inference that found it
    conflict    boolean NOT NULL,          -- of all its rows or of none
    keys        jsonb NOT NULL,            -- of each row an array of its key's values as text
    tenants     integer[] NOT NULL,        -- in assigned_tenant; NULL: nothing settled it and there is no quarantine
    rules       integer[] NOT NULL,
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

-- The same for rows of tables without a key, which a batch looks up by what is in them.
CREATE TABLE IF NOT EXISTS bastide.assigned_keyless (
    run_id      uuid NOT NULL,
    relation    text NOT NULL,
    hash        uuid NOT NULL,             -- md5 of the row's original columns
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    pass        integer NOT NULL,
    conflict    boolean NOT NULL,
    tenant      integer,
    rule        integer NOT NULL,
    PRIMARY KEY (run_id, relation, hash, seq)
);

-- One line per row, for people and scripts.
CREATE OR REPLACE VIEW bastide.assignment AS
    SELECT p.run_id, p.relation, p.seq, p.key, t.tenant, p.rule, r.kind, r.path
    FROM (
        SELECT a.run_id, a.relation, a.seq + u.at - 1 AS seq, u.key, u.tenant, u.rule
        FROM bastide.assigned AS a
            CROSS JOIN LATERAL ROWS FROM (pg_catalog.jsonb_array_elements(a.keys), pg_catalog.unnest(a.tenants), pg_catalog.unnest(a.rules))
                WITH ORDINALITY AS u (key, tenant, rule, at)
        UNION ALL
        SELECT k.run_id, k.relation, k.seq,
            pg_catalog.jsonb_build_array('md5:' || pg_catalog.replace(k.hash::text, '-', '')), k.tenant, k.rule
        FROM bastide.assigned_keyless AS k
    ) AS p
        LEFT JOIN bastide.assigned_tenant AS t ON t.run_id = p.run_id AND t.id = p.tenant
        LEFT JOIN bastide.rule AS r ON r.run_id = p.run_id AND r.id = p.rule;

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

-- What settling crossing links changed in live rows.
CREATE TABLE IF NOT EXISTS bastide.changed (
    run_id      uuid NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation    text NOT NULL,
    key         jsonb NOT NULL,            -- of the row as the change left it
    what        text NOT NULL,             -- cut, redirected (to a copy), made (a copy), moved (to another tenant)
    link        text NOT NULL,             -- the answered one: table:foreign key
    before      jsonb NOT NULL,            -- the reference's or the tenant column's values as text; of a copy, its original's key
    after       jsonb NOT NULL,            -- the same afterwards; of a copy, a hash of it
    parent      jsonb,                     -- key of the row that was referenced before
    tenant      text,                      -- the row's before; of a copy, whose it is
    reason      text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    undone_at   timestamptz
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

-- What was made now, or left by a run that was rolled back; with it go the grants that the login's default privileges gave.
DO $$ DECLARE item record; BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'bastide' AND nspowner <> 'bastide_owner'::pg_catalog.regrole) THEN
    ALTER SCHEMA bastide OWNER TO bastide_owner;
  END IF;
  FOR item IN
    SELECT c.oid::pg_catalog.regclass AS name, c.relkind,
           ARRAY(SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END
                 FROM pg_catalog.aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner) AS grantees
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'bastide'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v', 'S') AND c.relowner <> 'bastide_owner'::pg_catalog.regrole
  LOOP
    IF item.grantees <> '{}' THEN
      EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s CASCADE', item.name, pg_catalog.array_to_string(item.grantees, ', '));
    END IF;
    -- A sequence goes with its table.
    IF item.relkind <> 'S' THEN
      EXECUTE pg_catalog.format('ALTER TABLE %s OWNER TO bastide_owner', item.name);
    END IF;
  END LOOP;
END $$;
