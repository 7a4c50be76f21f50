//! Each refusal, with the table and the column; and what is rendered for tables that can be kept apart, on a real server.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName};
use bastide_testkit::Database;

use super::*;

/// The root and a table below it, as an earlier migration made them.
const BEFORE: &str = "
CREATE TABLE public.shops (id integer PRIMARY KEY, slug text NOT NULL UNIQUE);
CREATE TABLE public.orders (shop_id integer NOT NULL REFERENCES public.shops, id bigint NOT NULL, PRIMARY KEY (shop_id, id));
CREATE TABLE public.units (code text PRIMARY KEY);
CREATE ROLE bastide_app LOGIN; GRANT SELECT ON public.units, public.orders TO bastide_app";

struct Fixture {
    _server: bastide_testkit::Server,
    db: Database,
    before: BTreeSet<QualifiedName>,
}

fn name(text: &str) -> QualifiedName {
    text.parse().unwrap()
}

fn ident(text: &str) -> Ident {
    Ident::new(text).unwrap()
}

fn scoped(column: &str) -> Treatment {
    Treatment::Scoped { column: ident(column), legacy_keys: false }
}

impl Fixture {
    async fn new() -> Self {
        let server = bastide_testkit::server().await;
        let db = server.database("isolated").await;
        db.execute(BEFORE).await;
        let before = relations(&read(&db).await);
        Self { _server: server, db, before }
    }

    /// In a copy of its own, so that one server serves all.
    async fn isolate(
        &self,
        up: &str,
        tables: &[(QualifiedName, Treatment)],
    ) -> (Catalog, Result<Vec<Step>, CannotIsolate>) {
        let mut client = self.db.client().await;
        let mut transaction = client.transaction().await.unwrap();
        transaction.batch_execute(up).await.unwrap_or_else(|error| panic!("{up}\n{error:?}"));
        let catalog = bastide_catalog::read_within(&mut transaction).await.unwrap();
        transaction.rollback().await.unwrap();
        let made = relations(&catalog).difference(&self.before).cloned().collect();
        let known =
            BTreeMap::from([(name("public.shops"), ident("id")), (name("public.orders"), ident("shop_id"))]);
        let wanted = Isolation {
            root: &name("public.shops"),
            root_column: &ident("id"),
            app_role: &ident("bastide_app"),
            tables,
            made: &made,
            scoped: &known,
        };
        let steps = isolate(&catalog, &wanted);
        (catalog, steps)
    }

    async fn refused(&self, up: &str, tables: &[(QualifiedName, Treatment)]) -> String {
        match self.isolate(up, tables).await.1 {
            Err(why) => why.to_string(),
            Ok(steps) => panic!("{up}\nwas isolated: {steps:?}"),
        }
    }
}

async fn read(db: &Database) -> Catalog {
    bastide_catalog::read(&mut db.client().await).await.unwrap()
}

fn relations(catalog: &Catalog) -> BTreeSet<QualifiedName> {
    catalog.tables.keys().chain(catalog.views.keys()).cloned().collect()
}

#[tokio::test]
async fn what_cannot_be_kept_apart_is_refused_by_name() {
    let fixture = Fixture::new().await;
    let notes = || vec![(name("public.notes"), scoped("shop_id"))];
    let mut said = Vec::new();
    for (up, tables) in [
        ("SELECT", notes()),
        ("SELECT", vec![(name("public.orders"), scoped("shop_id"))]),
        ("CREATE TABLE public.notes (id int)", vec![]),
        ("CREATE TABLE public.notes (id int)", notes()),
        ("CREATE TABLE public.notes (shop_id int REFERENCES public.shops)", notes()),
        ("CREATE TABLE public.notes (shop_id bigint NOT NULL REFERENCES public.shops)", notes()),
        ("CREATE TABLE public.notes (shop_id int NOT NULL)", notes()),
        ("CREATE TABLE public.notes (shop_id int NOT NULL REFERENCES public.shops, id int PRIMARY KEY)", notes()),
        (
            "CREATE TABLE public.notes (shop_id int NOT NULL REFERENCES public.shops, slug text, UNIQUE (slug, shop_id))",
            notes(),
        ),
        (
            "CREATE TABLE public.notes (shop_id int NOT NULL REFERENCES public.shops, slug text);
             CREATE UNIQUE INDEX notes_slug ON public.notes (lower(slug))",
            notes(),
        ),
        (
            "CREATE UNIQUE INDEX ON public.orders (id);
             CREATE TABLE public.notes (shop_id int NOT NULL REFERENCES public.shops, order_id bigint REFERENCES public.orders (id))",
            notes(),
        ),
        (
            "CREATE TABLE public.notes (shop_id int NOT NULL REFERENCES public.shops, order_id bigint,
                 FOREIGN KEY (shop_id, order_id) REFERENCES public.orders ON DELETE SET NULL)",
            notes(),
        ),
        (
            "CREATE TABLE public.notes (shop_id int NOT NULL REFERENCES public.shops);
             CREATE POLICY open ON public.notes USING (true)",
            notes(),
        ),
        ("CREATE TABLE public.notes () INHERITS (public.orders)", vec![]),
        (
            "CREATE TABLE public.notes (shop_id int, order_id bigint, FOREIGN KEY (shop_id, order_id) REFERENCES public.orders)",
            vec![(name("public.notes"), Treatment::Shared)],
        ),
        (
            "CREATE TABLE public.notes (id int); GRANT SELECT ON public.notes TO bastide_app",
            vec![(name("public.notes"), Treatment::Closed)],
        ),
        (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC;
             CREATE TABLE public.notes (shop_id int NOT NULL REFERENCES public.shops)",
            notes(),
        ),
        (
            "CREATE TABLE public.notes (id int); GRANT SELECT, TRUNCATE ON public.notes TO bastide_app",
            vec![(name("public.notes"), Treatment::Shared)],
        ),
        (
            "CREATE TABLE public.notes (id int); GRANT INSERT (id) ON public.notes TO bastide_app",
            vec![(name("public.notes"), Treatment::Shared)],
        ),
        ("CREATE VIEW public.recent AS SELECT * FROM public.orders", vec![]),
        (
            "CREATE MATERIALIZED VIEW public.totals AS SELECT shop_id, count(*) FROM public.orders GROUP BY 1;
             GRANT SELECT ON public.totals TO bastide_app",
            vec![],
        ),
    ] {
        said.push(fixture.refused(up, &tables).await);
    }
    insta::assert_snapshot!(said.join("\n"), @"
    public.notes is not there: up.sql has to make every table that `isolate` names
    public.orders was there before this migration; `isolate` names the tables that up.sql makes
    public.notes is made and not spoken of: add a line to `isolate`, `public.notes tenant_id` for a scoped table, `public.notes shared read` or `public.notes closed`
    public.notes has no column shop_id, which `isolate` names
    public.notes.shop_id may be NULL, and such a row would be nobody's: declare it NOT NULL
    public.notes.shop_id is of type bigint, and the tenants' key of type integer: policies compare them, so give them the same
    public.notes.shop_id references no tenant: add FOREIGN KEY (shop_id) REFERENCES public.shops (id), by itself or in front of a key of a scoped table
    the key notes_pkey of public.notes is not led by shop_id, so it would tell one tenant what another has: write notes_pkey over (shop_id, …)
    the key notes_slug_shop_id_key of public.notes is not led by shop_id, so it would tell one tenant what another has: write notes_slug_shop_id_key over (shop_id, …)
    the key notes_slug of public.notes is not led by shop_id, so it would tell one tenant what another has: write notes_slug over (shop_id, …)
    the foreign key notes_order_id_fkey of public.notes to public.orders does not hold the tenant on both sides, so a row could point into another tenant: write FOREIGN KEY (shop_id, …) REFERENCES public.orders (shop_id, …)
    the foreign key notes_shop_id_order_id_fkey of public.notes would set shop_id to NULL as well: name the columns, ON DELETE SET NULL (…), without shop_id
    public.notes has the policy open; leave policies and row security to `isolate`
    public.notes inherits from public.orders, whose rows it would show without that table's policy: make it a partition, or a table of its own
    public.notes is read by everybody and its foreign key notes_shop_id_order_id_fkey references public.orders, which is scoped: scope it, too, or close it
    bastide_app holds SELECT on public.notes, which `isolate` does not give: by up.sql, or by ALTER DEFAULT PRIVILEGES of before; revoke it there
    PUBLIC holds DELETE on public.notes, which `isolate` does not give: by up.sql, or by ALTER DEFAULT PRIVILEGES of before; revoke it there
    bastide_app holds TRUNCATE on public.notes, which `isolate` does not give: by up.sql, or by ALTER DEFAULT PRIVILEGES of before; revoke it there
    bastide_app holds INSERT on public.notes, which `isolate` does not give: by up.sql, or by ALTER DEFAULT PRIVILEGES of before; revoke it there
    view public.recent reads with its owner's rights: create it WITH (security_invoker = true)
    bastide_app holds SELECT on materialised view public.totals, whose copies no policy filters: leave its grants to `isolate`
    ");
}

#[tokio::test]
async fn what_can_be_is_closed_granted_and_indexed() {
    let fixture = Fixture::new().await;
    let up = "
        CREATE TABLE public.notes (shop_id int NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, order_id bigint NOT NULL, at date NOT NULL,
            PRIMARY KEY (shop_id, id, at), FOREIGN KEY (shop_id) REFERENCES public.shops, FOREIGN KEY (shop_id, order_id) REFERENCES public.orders)
            PARTITION BY RANGE (at);
        CREATE TABLE public.notes_old PARTITION OF public.notes FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE public.log (shop_id int NOT NULL REFERENCES public.shops, said text);
        CREATE TABLE public.colours (name text PRIMARY KEY);
        CREATE TABLE public.jobs (id int PRIMARY KEY);
        CREATE VIEW public.recent WITH (security_invoker = true) AS SELECT n.id, u.code FROM public.notes n, public.units u;
        CREATE VIEW public.due WITH (security_invoker = true) AS SELECT * FROM public.jobs;
        CREATE MATERIALIZED VIEW public.totals AS SELECT shop_id, count(*) FROM public.notes GROUP BY 1;
        CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'";
    let tables = [
        (name("public.notes"), scoped("shop_id")),
        (name("public.log"), scoped("shop_id")),
        (name("public.colours"), Treatment::Shared),
        (name("public.jobs"), Treatment::Closed),
    ];
    let (_, steps) = fixture.isolate(up, &tables).await;
    let steps: Vec<String> = steps.unwrap().iter().map(Step::describe).collect();
    insta::assert_snapshot!(steps.join("\n"), @"
    give new rows of public.notes the tenant of the context
    turn row security on for public.notes
    close public.notes to everybody without a tenant context
    give new rows of public.log the tenant of the context
    index public.log by (shop_id)
    turn row security on for public.log
    close public.log to everybody without a tenant context
    give new rows of public.notes_old the tenant of the context
    turn row security on for public.notes_old
    close public.notes_old to everybody without a tenant context
    grant USAGE on schema public to bastide_app
    grant SELECT, INSERT, UPDATE, DELETE on public.notes to bastide_app
    grant SELECT, INSERT, UPDATE, DELETE on public.log to bastide_app
    grant SELECT on public.colours to bastide_app
    grant USAGE on sequence public.notes_id_seq to bastide_app
    give materialised view public.totals an owner that row security does not filter
    grant SELECT on public.recent to bastide_app
    take EXECUTE on public.peek from PUBLIC
    ");
}
