//! Tables and views: that everything belonging to one is read, and read right.

use bastide_catalog::{Action, Identity, KeyKind, Persistence, PolicyCommand, TableKind, TriggerEnabled};
use insta::assert_snapshot;

use super::{list, nasty, read, table, view};

#[tokio::test]
async fn every_table_and_view_of_the_users_is_read_and_no_other() {
    let (_server, database) = nasty().await;
    let other = database.client().await;
    other
        .batch_execute("CREATE TEMP TABLE fleeting (x int); CREATE TEMP VIEW gone AS SELECT 1")
        .await
        .unwrap();
    let catalog = read(&database).await;
    assert_snapshot!(list(catalog.tables.keys()), @r#""We""ird.Schema"."Order", public.addresses, public.animal, public.child, public.event_notes, public.event_notes_all, public.events, public.events_1, public.events_1_old, public.events_rest, public.machine, public.nothing, public.parent, public.remote, public.robot_dog, public.scratch"#);
    assert_snapshot!(list(catalog.views.keys()), @"public.invoker, public.parents, public.totals, public.unkeyed");
    assert_snapshot!(list(catalog.schemas.keys()), @r#""We""ird.Schema", empty_schema, public"#);
}

#[tokio::test]
async fn columns_keep_their_order_types_and_expressions_whatever_they_are_called() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let order = table(&catalog, r#""We""ird.Schema"."Order""#);
    let lines = order.columns.iter().map(|column| {
        let mut line = format!("{} {}", column.name, column.type_name);
        for (word, expression) in [("default", &column.default), ("generated", &column.generated)] {
            if let Some(expression) = expression {
                line.push_str(&format!(" {word} {expression}"));
            }
        }
        if column.not_null { line + " not null" } else { line }
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    "Id" bigint not null
    select text default 'a''b\c'::text
    "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüa_z" "We""ird.Schema"."Mood" default 'it''s ok'::"We""ird.Schema"."Mood"
    amount public.positive
    seen_at timestamp with time zone default '2019-12-31 22:00:00+00'::timestamp with time zone
    doubled numeric generated ((amount)::numeric * (2)::numeric)
    "#);
    assert_eq!(order.columns[2].name.as_str().len(), 63);
    assert_eq!(order.columns[0].identity, Some(Identity::Always));
    let id = table(&catalog, "public.child").columns[0].default.as_ref().unwrap();
    assert_eq!(id.as_str(), "nextval('public.child_id_seq'::regclass)");
    assert!(table(&catalog, "public.nothing").columns.is_empty());
}

#[tokio::test]
async fn keys_are_what_can_be_referenced_and_the_rest_are_indexes() {
    let (_server, database) = nasty().await;
    database.execute("CREATE TABLE public.failed (x int); INSERT INTO public.failed VALUES (1), (1)").await;
    // Leaves an invalid index behind, as an interrupted build does.
    let failed = database
        .client()
        .await
        .batch_execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON public.failed (x)")
        .await;
    assert!(failed.is_err());
    let catalog = read(&database).await;
    let parent = table(&catalog, "public.parent");
    let keys = parent.keys.iter().map(|key| {
        let deferrable = if key.deferrable { " deferrable" } else { "" };
        format!("{} {:?} ({}){deferrable}: {}", key.name, key.kind, list(&key.columns), key.definition)
    });
    assert_snapshot!(keys.collect::<Vec<_>>().join("\n"), @r#"
    parent_pk Primary (b, a): PRIMARY KEY (b, a)
    "Plain Unique" UniqueIndex (a): CREATE UNIQUE INDEX "Plain Unique" ON public.parent USING btree (a) INCLUDE (c)
    parent_unique Unique (c, a) deferrable: UNIQUE (c, a) DEFERRABLE INITIALLY DEFERRED
    "#);
    let indexes = parent.indexes.iter().map(|index| {
        let columns = index.columns.iter().map(|column| column.as_ref().map_or("…", |name| name.as_str()));
        format!("{} unique={} partial={} ({})", index.name, index.unique, index.partial, list(columns))
    });
    assert_snapshot!(indexes.collect::<Vec<_>>().join("\n"), @r"
    parent_expression unique=true partial=false (…, a)
    parent_gin unique=false partial=false (…)
    parent_partial unique=true partial=true (a)
    ");
    let overlap = &table(&catalog, "public.child").indexes[0];
    assert!(overlap.exclusion);
    assert_eq!(overlap.definition.as_str(), "EXCLUDE USING gist (during WITH &&)");
    let failed = table(&catalog, "public.failed");
    assert!(failed.keys.is_empty() && !failed.indexes[0].valid);
    assert_eq!(table(&catalog, "public.events_1_old").keys[0].kind, KeyKind::Primary);
}

#[tokio::test]
async fn foreign_keys_are_read_in_full() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let keys = &table(&catalog, "public.child").foreign_keys;
    let definitions: Vec<String> =
        keys.iter().map(|key| format!("{}: {}", key.name, key.definition)).collect();
    assert_snapshot!(definitions.join("\n"), @r"
    child_default: FOREIGN KEY (pa) REFERENCES public.parent(a) ON DELETE SET DEFAULT
    child_full: FOREIGN KEY (pb, pa) REFERENCES public.parent(b, a) MATCH FULL ON UPDATE CASCADE ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED
    child_self: FOREIGN KEY (self_id) REFERENCES public.child(id) ON DELETE CASCADE
    child_some: FOREIGN KEY (pb, pa) REFERENCES public.parent(b, a) ON DELETE SET NULL (pa)
    ");
    let [by_default, full, by_self, some] = &keys[..] else { panic!("four keys") };
    assert_eq!((by_default.on_delete, by_default.on_update), (Action::SetDefault, Action::NoAction));
    assert!(
        full.match_full && full.deferrable && full.initially_deferred && full.validated && !full.inherited
    );
    assert_eq!((full.on_update, full.on_delete), (Action::Cascade, Action::Restrict));
    assert_eq!((list(&full.columns), list(&full.referenced_columns)), ("pb, pa".into(), "b, a".into()));
    assert_eq!(by_self.references.to_string(), "public.child");
    assert!(!by_self.match_full && !by_self.deferrable);
    assert_eq!((some.on_delete, list(&some.on_delete_columns)), (Action::SetNull, "pa".into()));
    assert!(full.on_delete_columns.is_empty());
    let owner = &table(&catalog, "public.parent").foreign_keys[0];
    assert!(!owner.validated);
}

/// The server keeps one more constraint for each partition that is referenced; those are no references of the user's.
#[tokio::test]
async fn partitions_have_their_parents_references_once() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let mut lines = Vec::new();
    for (name, table) in catalog.tables.iter().filter(|(name, _)| name.name.as_str().starts_with("event")) {
        let keys = table.foreign_keys.iter().map(|key| {
            let inherited = if key.inherited { " inherited" } else { "" };
            format!("{} → {}{inherited}", key.name, key.references)
        });
        lines.push(format!("{name}: {}", list(keys)));
    }
    assert_snapshot!(lines.join("\n"), @r"
    public.event_notes: event_notes_event → public.events
    public.event_notes_all: event_notes_event → public.events inherited
    public.events: events_child_id_fkey → public.child, events_replaces → public.events
    public.events_1: events_child_id_fkey → public.child inherited, events_replaces → public.events inherited
    public.events_1_old: events_child_id_fkey → public.child inherited, events_replaces → public.events inherited
    public.events_rest: events_child_id_fkey → public.child inherited, events_replaces → public.events inherited
    ");
}

#[tokio::test]
async fn families_of_tables_know_one_another() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let family = |name: &str| {
        let table = table(&catalog, name);
        format!("{:?} of [{}] with [{}]", table.kind, list(&table.parents), list(&table.children))
    };
    assert_snapshot!(family("public.events"), @"Partitioned of [] with [public.events_1, public.events_rest]");
    assert_snapshot!(family("public.events_1"), @"Partitioned of [public.events] with [public.events_1_old]");
    assert_snapshot!(family("public.events_1_old"), @"Partition of [public.events_1] with []");
    assert_snapshot!(family("public.robot_dog"), @"Ordinary of [public.machine, public.animal] with []");
    assert_eq!(table(&catalog, "public.remote").kind, TableKind::Foreign);
    assert_eq!(table(&catalog, "public.scratch").persistence, Persistence::Unlogged);
    assert_eq!(table(&catalog, "public.addresses").of_type.as_ref().unwrap().as_str(), "public.address");
    assert!(table(&catalog, "public.child").of_type.is_none());

    let notes = table(&catalog, "public.event_notes");
    assert!(matches!(&notes.partition_columns[..], [None, Some(at)] if at.as_str() == "at"));
    let dog = table(&catalog, "public.robot_dog");
    assert_eq!(list(dog.columns.iter().filter(|c| c.local).map(|c| &c.name)), "bark");
    assert_eq!(list(dog.checks.iter().map(|check| &check.definition)), "CHECK ((name <> ''::text))");
}

#[tokio::test]
async fn checks_say_whether_they_are_validated() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let checks = &table(&catalog, r#""We""ird.Schema"."Order""#).checks;
    let lines =
        checks.iter().map(|check| format!("{} {}: {}", check.name, check.validated, check.definition));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    "Amount is ""sane""" true: CHECK (((amount)::numeric < (1000000)::numeric))
    later false: CHECK (("select" <> ''::text)) NOT VALID
    "#);
}

#[tokio::test]
async fn triggers_and_rules_are_read_of_tables_and_of_views() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let [stamp, after] = &table(&catalog, "public.child").triggers[..] else { panic!("two triggers") };
    assert_eq!((stamp.name.as_str(), stamp.enabled), ("Stamp It", TriggerEnabled::Always));
    assert!(stamp.before && stamp.for_each_row && stamp.on_insert && stamp.on_update);
    assert!(!stamp.on_delete && !stamp.on_truncate);
    assert_eq!(stamp.function.to_string(), "public.stamp");
    assert_eq!(after.enabled, TriggerEnabled::Disabled);
    assert!(!after.before && !after.for_each_row && after.on_delete && after.on_truncate && !after.on_insert);
    assert_eq!(list(table(&catalog, "public.events_1_old").triggers.iter().map(|t| &t.name)), "on_events");
    let [keep] = &table(&catalog, "public.scratch").rules[..] else { panic!("one rule") };
    assert_eq!((keep.name.as_str(), keep.enabled), ("Keep", TriggerEnabled::Origin));
    assert_eq!(list(&keep.touches), "public.scratch");

    let parents = view(&catalog, "public.parents");
    assert_eq!(list(&parents.rules), "child_redirect");
    assert_snapshot!(parents.triggers[0].definition, @"CREATE TRIGGER instead INSTEAD OF UPDATE ON public.parents FOR EACH ROW EXECUTE FUNCTION public.stamp()");
    assert!(parents.triggers[0].before);
}

#[tokio::test]
async fn policies_and_the_switches_of_row_security_are_read() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let child = table(&catalog, "public.child");
    assert!(child.row_security && child.force_row_security);
    assert!(!table(&catalog, "public.parent").row_security);
    let [some, adds, everyone] = &child.policies[..] else { panic!("three policies") };
    assert!(!some.permissive && adds.permissive);
    assert_eq!((some.command, adds.command), (PolicyCommand::Update, PolicyCommand::Insert));
    assert_eq!(everyone.command, PolicyCommand::All);
    assert_eq!(
        (list(&some.roles), list(&everyone.roles)),
        (r#""Reader Role", catalog_login"#.into(), String::new())
    );
    assert_snapshot!(some.using.as_ref().unwrap(), @r"
    (EXISTS ( SELECT
       FROM public.parent
      WHERE (parent.a = child.pa)))
    ");
    assert_eq!(some.with_check.as_ref().unwrap().as_str(), "(pa > 0)");
    assert!(everyone.with_check.is_none() && adds.using.is_none());
}

#[tokio::test]
async fn views_say_what_they_read_and_with_whose_rights() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let invoker = view(&catalog, "public.invoker");
    assert!(invoker.security_invoker && invoker.security_barrier && !invoker.materialised);
    assert_eq!(list(&invoker.options), "security_invoker=on, security_barrier=true");
    assert_eq!(list(&invoker.reads), r#""We""ird.Schema"."Order", public.parents"#);
    assert_snapshot!(invoker.definition, @r#"
     SELECT v.id
       FROM public.parents v
      WHERE (EXISTS ( SELECT
               FROM "We""ird.Schema"."Order" o
              WHERE (o."Id" = v.id)));
    "#);
    let parents = view(&catalog, "public.parents");
    assert!(!parents.security_invoker);
    assert_eq!(list(&parents.reads), "public.child, public.parent");
    assert_eq!(
        list(parents.columns.iter().map(|c| format!("{} {}", c.name, c.type_name))),
        "b text, id integer"
    );
    let (totals, unkeyed) = (view(&catalog, "public.totals"), view(&catalog, "public.unkeyed"));
    assert!(totals.materialised && totals.has_unique_index && !unkeyed.has_unique_index);
    assert_eq!(list(&totals.reads), "public.child");
}
