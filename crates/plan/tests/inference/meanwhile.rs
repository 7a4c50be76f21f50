//! Random worlds that the legacy application goes on writing to: between the passes, and until cutover looks at
//! quarantine again. The steps are the migration's own; only their order is written down here, as the engine keeps it.

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_plan::{
    Mode, Step,
    inference::{Graph, REOPENING, assign_script},
    steps::{Backfill, CreateContext, KeepLegacyWrites, TenantSource},
};
use bastide_sql::{Ident, QualifiedName, Sql, sql};
use bastide_testkit::{
    Database,
    truth::{Kind, Own, Place, State, Tally, True, Visible, World, connected, fixpoint, judge},
};
use tokio_postgres::Client;

use crate::{
    declared::{declarations, declare, give_keys, undeclared},
    fixture::{RUN, bootstrap},
    measure::{answers, execute, recorded, run, visible},
    worlds::{Truths, graph, measure, scopes},
};

async fn apply(client: &Client, step: &Step) {
    let script = step.forward();
    let execute_all = async |statements: &[Sql]| {
        for statement in statements {
            execute(client, statement).await;
        }
    };
    let begin = sql!("BEGIN; SET LOCAL bastide.run = '{}'", Sql::trusted(RUN));
    let mut cursor: Option<String> = None;
    loop {
        execute(client, &begin).await;
        execute_all(&script.prelude).await;
        if script.mode == Mode::Batches {
            // Few at a time, so that there are several batches.
            let row = client.query_one(script.statements[0].as_str(), &[&cursor, &7_i64]).await;
            cursor = row.unwrap_or_else(|error| panic!("{error:?}\n{}", script.statements[0])).get(0);
        } else {
            execute_all(&script.statements).await;
        }
        execute(client, &sql!("COMMIT")).await;
        if cursor.is_none() {
            return;
        }
    }
}

/// What the migration does before it infers: columns, a quarantine tenant, and triggers for legacy writes.
async fn prepare(client: &Client, db: &Database, world: &World) -> (Catalog, Graph) {
    client.batch_execute("DROP SCHEMA IF EXISTS bastide CASCADE").await.unwrap();
    bootstrap(db).await;
    for statement in world.create().iter().chain(&world.add_columns()).chain([&world.add_quarantine()]) {
        execute(client, statement).await;
    }
    let catalog = bastide_catalog::read(&mut db.client().await).await.unwrap();
    apply(client, &Step::CreateContext(CreateContext { root_type: world.tenant_type() })).await;
    give_keys(client, world).await;
    let declared = declarations(world);
    for table in 1..world.tables.len() {
        let source = |columns: &[Ident], references: &QualifiedName, theirs: &[Ident]| {
            let parent = (0..world.tables.len()).find(|&parent| World::name(parent) == *references)?;
            Some(TenantSource {
                columns: columns.to_vec(),
                parent: references.clone(),
                parent_columns: theirs.to_vec(),
                parent_tenant: World::tenant_column(parent),
                collations: Default::default(),
            })
        };
        let name = World::name(table);
        let keys = catalog.tables[&name].foreign_keys.iter();
        let keys = keys.filter_map(|key| source(&key.columns, &key.references, &key.referenced_columns));
        let declared = declared.references.iter().filter(|reference| reference.table == name);
        let sources =
            keys.chain(declared.filter_map(|r| source(&r.columns, &r.references, &r.referenced_columns)));
        let own = World::tenant_column(table);
        let step = KeepLegacyWrites {
            table: World::name(table),
            column: own.clone(),
            type_name: world.tenant_type(),
            reused: world.tables[table].legacy_column,
            parents: sources.filter(|source| !source.columns.contains(&own)).collect(),
            quarantine: Some(world.tenant(0)),
        };
        apply(client, &Step::KeepLegacyWrites(step)).await;
    }
    (catalog, graph(db, world).await)
}

async fn backfill(client: &Client, world: &World, catalog: &Catalog, graph: &Graph, pass: u32) {
    for node in graph.nodes.iter().filter(|node| !node.root) {
        let table = &catalog.tables[&node.table];
        let typed = |name: &Ident| (name.clone(), table.column(name).unwrap().type_name.clone());
        let step = Backfill {
            pass,
            table: node.table.clone(),
            column: node.tenant.clone().unwrap(),
            type_name: world.tenant_type(),
            key: node.key.iter().map(typed).collect(),
            original_columns: node.original_columns.clone(),
            reused: true,
            reopens: (pass == REOPENING).then(|| world.tenant(0)),
        };
        apply(client, &Step::Backfill(step)).await;
    }
}

/// The rows as they stand; `quarantined` says what a row in quarantine counts as.
async fn look(client: &Client, world: &World, quarantined: impl Fn(&Place) -> Own) -> Visible {
    let mut seen = visible(client, &scopes(world), &World::number(), &undeclared(world)).await;
    let root = sql!("{}", World::name(0)).to_string();
    for (place, own) in seen.places.iter().zip(&mut seen.own) {
        if *own == Own::Fact(world.tenant(0)) {
            *own = if place.0 == root { Own::Silent } else { quarantined(place) };
        }
    }
    declare(world, &Truths::new(world), &mut seen);
    seen
}

async fn write(client: &Client, world: &World, wave: u8) {
    let statements =
        world.write(wave).into_iter().map(|statement| format!("{statement};")).collect::<String>();
    client.batch_execute(&statements).await.unwrap_or_else(|error| panic!("{error:?}\n{statements}"));
}

/// Both passes and the reopening, each held to the evidence there is when it looks. What the passes counted, and the rows
/// as they are in the end.
async fn migrated(client: &Client, db: &Database, world: &World) -> Result<(Tally, Visible), String> {
    let (catalog, graph) = prepare(client, db, world).await;
    let truths = Truths::new(world);
    let number = World::number();
    let mut counted = Tally::default();
    for pass in [1, 2] {
        let seen = look(client, world, |_| Own::Silent).await;
        run(client, &assign_script(&graph, Some(&world.tenant(0)), pass)).await;
        let expected = fixpoint(&seen.own, &seen.pairs());
        let said = answers(&seen, &recorded(client, &graph, &number, pass).await)?;
        let judged = judge(&seen, &expected, &said, |place| truths.of(place));
        counted.add(&judged.map_err(|error| format!("pass {pass}: {error}"))?);
        if pass == 1 {
            // What it has inferred is not in the rows yet.
            write(client, world, 1).await;
        }
        backfill(client, world, &catalog, &graph, pass).await;
        write(client, world, if pass == 1 { 2 } else { 3 }).await;
    }

    // Rows without a key are known by what is in them, so a changed one is a new one.
    let mut conflicts = BTreeMap::new();
    for pass in [1, 2] {
        conflicts.extend(recorded(client, &graph, &number, pass).await);
    }
    conflicts.retain(|_, state| *state == State::Conflict);
    let stays = |place: &Place| if conflicts.contains_key(place) { Own::Silent } else { Own::Open };
    let seen = look(client, world, stays).await;
    run(client, &assign_script(&graph.clone().reopen(&world.tenant(0)), None, REOPENING)).await;
    let expected = fixpoint(&seen.own, &seen.pairs());
    let found = recorded(client, &graph, &number, REOPENING).await;
    for ((place, own), expected) in seen.places.iter().zip(&seen.own).zip(&expected) {
        let open = matches!(own, Own::Open | Own::Declared(_));
        let settles = open && matches!(expected, State::One(_));
        if found.get(place) != settles.then_some(expected) {
            let found = found.get(place);
            return Err(format!("reopening: {place:?} is {expected:?} and was recorded as {found:?}"));
        }
    }
    backfill(client, world, &catalog, &graph, REOPENING).await;
    let after = look(client, world, |_| Own::Open).await;
    for (row, place) in after.places.iter().enumerate() {
        if conflicts.contains_key(place) && seen.own[row] == Own::Silent && !after.is_open(row) {
            return Err(format!("{place:?} was in conflict, and is now {:?}", after.own[row]));
        }
    }
    counted.cases = 1;
    Ok((counted, after))
}

/// From the first row to cutover: what was open is what the legacy application never said.
fn from_first_to_last(world: &World, after: &Visible) -> Tally {
    let truths = Truths::new(world);
    let mut tally = Tally { cases: 1, ..Tally::default() };
    let mut beginning = after.clone();
    for (place, own) in after.places.iter().zip(&mut beginning.own) {
        *own = match truths.row(place) {
            Some(row) => row.own.map_or(Own::Open, |own| Own::Fact(world.tenant(own))),
            None => Own::Silent,
        };
    }
    declare(world, &truths, &mut beginning);
    let decidable = connected(&beginning);
    for row in beginning.open() {
        let place = &after.places[row];
        tally.open += 1;
        tally.decidable += u64::from(decidable[row].is_some());
        let Own::Fact(tenant) = &after.own[row] else {
            tally.unreachable += 1;
            continue;
        };
        tally.assigned += 1;
        tally.covered += u64::from(decidable[row].is_some());
        tally.right += u64::from(truths.of(place) == True::Tenant(tenant.clone()));
    }
    tally
}

#[test]
fn rows_written_meanwhile_and_rows_that_they_explain_are_settled_by_cutover() {
    let tally =
        measure("random worlds, written to meanwhile", Kind::Clean, 3, 8, async |client, db, world| {
            let (_, after) = migrated(client, db, world).await?;
            let tally = from_first_to_last(world, &after);
            if (tally.right, tally.covered) != (tally.assigned, tally.decidable) {
                return Err(format!("precision or coverage is not 1: {tally:?}"));
            }
            Ok(tally)
        });
    assert!(tally.unreachable > 0, "{tally:?}");
}

#[test]
fn conflicts_are_not_settled_by_what_is_written_later() {
    let name = "both passes of random worlds, crossing links, written to meanwhile";
    let tally = measure(name, Kind::Crossing, 3, 8, async |client, db, world| {
        let (counted, _) = migrated(client, db, world).await?;
        Ok(counted)
    });
    assert!(tally.conflicts > 0, "{tally:?}");
}
