-- What is applied of the platform's own schema, and all that ever was. The scripts that undo a version are kept with it, so that
-- any Bastide can take it back. Owned by bastide_owner; the application's login can reach neither table.
CREATE TABLE IF NOT EXISTS bastide.schema_version (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,             -- of the files as applied
    state       text NOT NULL,             -- done; of what runs outside a transaction also started, undoing
    transaction boolean NOT NULL,
    down        text NOT NULL,             -- what undoes it, as a script
    made        jsonb NOT NULL,            -- tables and columns, for saying what undoing loses
    said        jsonb NOT NULL,            -- what `rls plan` need not ask: of tables, by question
    adopted     uuid,                      -- the run that left this version, when no migration made it
    fingerprint jsonb,                     -- of the schema when this version was the newest
    app_role    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    applied_by  text NOT NULL DEFAULT session_user,
    seconds     double precision NOT NULL,
    bastide     text NOT NULL
);

CREATE TABLE IF NOT EXISTS bastide.schema_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    action      text NOT NULL,             -- up, down, adopted, rolled back; started, undoing
    version     integer NOT NULL,
    name        text NOT NULL,
    checksum    text NOT NULL,
    login       text NOT NULL DEFAULT session_user,
    seconds     double precision NOT NULL,
    bastide     text NOT NULL
);

DO $$ DECLARE made text; BEGIN
    FOREACH made IN ARRAY ARRAY['bastide.schema_version', 'bastide.schema_history'] LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s OWNER TO bastide_owner', made);
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM PUBLIC', made);
    END LOOP;
END $$;
