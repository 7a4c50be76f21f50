//! Harmless changes, one at a time to the sound database: none must be mistaken for a breach.

use bastide_verify::Options;

use super::{open, sound, verdict};

/// Changes that break nothing.
const DECOYS: &[(&str, &str)] = &[
    ("a restrictive policy more", "CREATE POLICY narrow ON orders AS RESTRICTIVE USING (total >= 0)"),
    ("the same policy twice", "CREATE POLICY again ON orders USING (merchant_id = (SELECT bastide.current_tenant()::uuid))"),
    ("a WITH CHECK left to USING", "DROP POLICY bastide_tenant ON notes;
      CREATE POLICY bastide_tenant ON notes USING (tenant_id = (SELECT bastide.current_tenant()::uuid))"),
    ("a policy for another role", "CREATE POLICY report ON orders FOR SELECT TO staff USING (total > 0)"),
    ("an invoker view", "CREATE VIEW mine WITH (security_invoker) AS SELECT * FROM orders; GRANT SELECT ON mine TO bastide_app"),
    ("a definer view over shared tables", "CREATE VIEW names AS SELECT name FROM countries; GRANT SELECT ON names TO bastide_app"),
    ("a definer view out of reach", "CREATE VIEW inside AS SELECT * FROM orders"),
    ("an index", "CREATE INDEX ON orders (merchant_id, total)"),
    ("a new table out of reach", "CREATE TABLE wishes (id int)"),
    ("a new partition, protected", "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
      ALTER TABLE events_2027 ENABLE ROW LEVEL SECURITY; ALTER TABLE events_2027 FORCE ROW LEVEL SECURITY;
      CREATE POLICY bastide_tenant ON events_2027 USING (tenant_id = (SELECT bastide.current_tenant()::uuid))"),
    ("an IMMUTABLE helper without the context", "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'"),
    ("an enum, a domain, a sequence", "CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN qty AS int; CREATE SEQUENCE s;
      GRANT USAGE ON SEQUENCE s TO bastide_app"),
    ("CREATE for PUBLIC, as before PostgreSQL 15", "GRANT CREATE ON SCHEMA public TO PUBLIC"),
    (
        "a rule among scoped tables",
        "CREATE RULE routed AS ON INSERT TO notes WHERE NEW.body = 'old' DO INSTEAD
             INSERT INTO notes_archive VALUES (NEW.id, NEW.tenant_id, NEW.body)",
    ),
    ("a unique index that holds the primary key", "CREATE UNIQUE INDEX ON drafts (id, lower(tenant_id::text))"),
    ("a partial unique index led by the tenant", "CREATE UNIQUE INDEX ON notes (tenant_id, body) WHERE body <> 'note'"),
    (
        "keys the operator accepted",
        "ALTER TABLE drafts ADD email text, ADD CONSTRAINT \"Mail\" UNIQUE (email); CREATE UNIQUE INDEX lower_mail ON drafts (lower(email));
         ALTER TABLE drafts ADD other bigint, ADD CONSTRAINT simple FOREIGN KEY (other) REFERENCES orders;
         UPDATE bastide.run SET plan = plan || '{\"config\": {\"answers\": {\"key:public.drafts.\\\"Mail\\\"\": \"keep\",
             \"key:public.drafts.lower_mail\": \"keep\", \"key:public.drafts.simple\": \"keep\"}}}'",
    ),
    ("a publication", "CREATE PUBLICATION feed FOR TABLE orders"),
    ("default privileges for somebody else", "ALTER DEFAULT PRIVILEGES FOR ROLE shop GRANT SELECT ON TABLES TO staff"),
    ("a harmless setting", "ALTER DATABASE current SET bastide.note = 'x'"),
    ("a row-level trigger", "CREATE TRIGGER again BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch()"),
    ("a tenant more", "INSERT INTO merchants VALUES (gen_random_uuid(), 'new')"),
];

#[tokio::test]
async fn harmless_changes_find_nothing() {
    let (server, original) = sound().await;
    let mut mistaken = Vec::new();
    for (number, (name, sql)) in DECOYS.iter().enumerate() {
        let database = format!("decoy_{number}");
        let db = server.copy_of(&original, &database).await;
        db.execute(&sql.replace("DATABASE current", &format!("DATABASE {database}"))).await;
        let verdict = verdict(&db, Options::default()).await;
        if !verdict.isolated() {
            let breaches: Vec<_> = verdict.breaches().collect();
            mistaken.push(format!("{name}:\n  {:?}\n  {breaches:?}", open(&verdict)));
        }
    }
    assert!(mistaken.is_empty(), "{}", mistaken.join("\n"));
}
