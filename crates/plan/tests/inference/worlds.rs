//! Random worlds whose true tenants are known: precision, coverage, and every answer that of the evidence.
//!
//! `BASTIDE_TRUTH_CASES` worlds of each kind (a few dozen unless told otherwise), the same ones every time; `BASTIDE_TRUTH_SEED`
//! (a number) for others. A world that fails is made as small as it gets, and printed.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env,
};

use bastide_plan::{
    ColumnOrigin, TenantColumn, TenantRoot,
    inference::{Graph, assign_script},
};
use bastide_sql::{Ident, sql};
use bastide_testkit::{
    Database, Server,
    truth::{
        Kind, Own, Place, Row, Scope, State, Tally, True, Truth, Visible, World, connected, fixpoint, judge,
        print, worlds,
    },
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio_postgres::Client;

use crate::{
    declared::{declarations, declare, give_keys, undeclared},
    fixture::bootstrap,
    measure::{answers, execute, recorded, run, survey_agrees, visible},
};

/// Some seven seconds' worth.
const CASES: u32 = 24;

fn number(variable: &str, default: u32) -> u32 {
    env::var(variable).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a whole number is expected"))
    })
}

/// Goes through random worlds of one kind on one server, and prints what was measured.
pub(crate) fn measure(
    name: &str,
    kind: Kind,
    waves: u8,
    cases: u32,
    case: impl AsyncFn(&Client, &Database, &World) -> Result<Tally, String>,
) -> Tally {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, db): (Server, Database) = runtime.block_on(async {
        let server = bastide_testkit::server().await;
        let db = server.database("worlds").await;
        (server, db)
    });
    let client = RefCell::new(runtime.block_on(db.client()));
    let total = RefCell::new(Tally::default());
    let config = Config {
        cases: number("BASTIDE_TRUTH_CASES", cases),
        max_shrink_iters: 2_000,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number("BASTIDE_TRUTH_SEED", 0).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let outcome = runner.run(&worlds(kind, waves), |world| {
        // A case that panicked may have left its connection inside a transaction.
        if client.borrow().is_closed() {
            client.replace(runtime.block_on(db.client()));
        }
        let client = client.borrow();
        let done = runtime.block_on(async {
            client.batch_execute("ROLLBACK").await.map_err(|error| error.to_string())?;
            case(&client, &db, &world).await
        });
        total.borrow_mut().add(&done.map_err(TestCaseError::fail)?);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    drop(server);
    let total = total.into_inner();
    print(&[(name, &total)]);
    assert!(total.assigned > 4 * total.cases, "too little was decidable: {total:?}");
    total
}

pub(crate) fn scopes(world: &World) -> Vec<Scope> {
    (0..world.tables.len())
        .map(|table| Scope { table: World::name(table), tenant: World::tenant_column(table) })
        .collect()
}

pub(crate) async fn graph(db: &Database, world: &World) -> Graph {
    let catalog = bastide_catalog::read(&mut db.client().await).await.unwrap();
    let column = |table: usize| TenantColumn {
        name: World::tenant_column(table),
        type_name: world.tenant_type(),
        origin: match (table, world.tables[table].legacy_column) {
            (0, _) => ColumnOrigin::RootKey,
            (_, true) => ColumnOrigin::Reused,
            (_, false) => ColumnOrigin::Added,
        },
    };
    let scoped = (0..world.tables.len()).map(|table| (World::name(table), column(table))).collect();
    let root = TenantRoot {
        table: World::name(0),
        key: World::tenant_column(0),
        key_type: world.tenant_type(),
        new: false,
        first_tenant: None,
    };
    Graph::build(&catalog, &root, &scoped).declare(&catalog, &declarations(world))
}

/// The rows as they stand, and what is declared of them.
async fn look(client: &Client, world: &World) -> Visible {
    let mut seen = visible(client, &scopes(world), &World::number(), &undeclared(world)).await;
    declare(world, &Truths::new(world), &mut seen);
    seen
}

/// Whose the rows of a world truly are.
pub(crate) struct Truths<'a> {
    world: &'a World,
    /// Partitions too, quoted as in SQL.
    tables: BTreeMap<String, usize>,
}

impl<'a> Truths<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let relations =
            (0..world.tables.len()).flat_map(|table| World::relations(table).map(|name| (name, table)));
        Self { world, tables: relations.map(|(name, table)| (sql!("{}", name).to_string(), table)).collect() }
    }

    /// `None`: the world did not make it.
    pub(crate) fn row(&self, place: &Place) -> Option<&'a Row> {
        usize::try_from(place.1).ok().and_then(|no| self.world.tables[self.tables[&place.0]].rows.get(no))
    }

    pub(crate) fn of(&self, place: &Place) -> True {
        match self.row(place).map(|row| row.truth) {
            Some(Truth::Tenant(tenant)) => True::Tenant(self.world.tenant(tenant)),
            Some(Truth::Several) => True::Several,
            None => True::Unknown,
        }
    }
}

/// The world as it stands, surveyed before it has its columns and inferred when it has.
async fn settled(client: &Client, db: &Database, world: &World) -> Result<Tally, String> {
    client.batch_execute("DROP SCHEMA IF EXISTS bastide CASCADE").await.unwrap();
    bootstrap(db).await;
    for statement in world.create() {
        execute(client, &statement).await;
    }
    give_keys(client, world).await;
    let seen = look(client, world).await;
    let expected = fixpoint(&seen.own, &seen.pairs());
    survey_agrees(client, &graph(db, world).await, &seen, &expected).await?;
    for statement in world.add_columns() {
        execute(client, &statement).await;
    }
    let mut graph = graph(db, world).await;
    let mut tally = Tally::default();
    let truths = Truths::new(world);
    // The answer must not depend on the order in which references are looked at.
    for _ in 0..2 {
        client
            .batch_execute(
                "TRUNCATE bastide.assigned, bastide.assigned_keyless, bastide.assigned_tenant, bastide.rule",
            )
            .await
            .unwrap();
        run(client, &assign_script(&graph, Some(&world.tenant(0)), 1)).await;
        let said = answers(&seen, &recorded(client, &graph, &World::number(), 1).await)?;
        tally = judge(&seen, &expected, &said, |place| truths.of(place))?;
        graph.edges.reverse();
    }
    Ok(tally)
}

/// In a world where nothing is wrong, what the strata decide is what hangs together with a fact, and it is true.
fn all_that_hangs_together(seen: &Visible, states: &[State]) -> Result<(), String> {
    for (row, tenant) in connected(seen).into_iter().enumerate() {
        if let Some(tenant) = tenant
            && states[row] != State::One(tenant.clone())
        {
            let place = &seen.places[row];
            return Err(format!("{place:?} hangs together with rows of {tenant}, and is {:?}", states[row]));
        }
    }
    Ok(())
}

#[test]
fn where_nothing_crosses_every_assignment_is_right_and_none_is_missed() {
    let (ruled, followed) = (Cell::new(0), Cell::new(0));
    let tally = measure("random worlds, clean", Kind::Clean, 0, CASES, async |client, db, world| {
        let tally = settled(client, db, world).await?;
        let seen = look(client, world).await;
        ruled.set(ruled.get() + seen.own.iter().filter(|own| matches!(own, Own::Declared(_))).count());
        let declared: Vec<Ident> = undeclared(world).into_iter().map(|reference| reference.name).collect();
        followed
            .set(followed.get() + seen.links.iter().filter(|link| declared.contains(&link.key.1)).count());
        all_that_hangs_together(&seen, &fixpoint(&seen.own, &seen.pairs()))?;
        Ok(tally)
    });
    assert_eq!((tally.right, tally.covered), (tally.assigned, tally.decidable), "precision and coverage");
    assert_eq!(tally.conflicts, 0);
    assert!(ruled.get() > 0 && followed.get() > 0, "nothing was declared: {ruled:?} {followed:?}");
}

#[test]
fn rows_that_several_tenants_visibly_use_are_never_one_tenants() {
    let tally = measure("random worlds, shared rows", Kind::Shared, 0, CASES, settled);
    assert_eq!((tally.right, tally.covered), (tally.assigned, tally.decidable), "precision and coverage");
    assert!(tally.conflicts > 0, "no row was shared: {tally:?}");
}

#[test]
fn where_the_use_of_shared_rows_is_hidden_no_mistake_is_silent() {
    let tally = measure("random worlds, shared rows whose use is hidden", Kind::Unseen, 0, CASES, settled);
    assert_eq!(tally.covered, tally.decidable, "coverage");
    assert!(tally.conflicts > 0 && tally.right < tally.assigned, "nothing was hidden: {tally:?}");
}

#[test]
fn where_links_cross_no_mistake_is_silent() {
    let tally = measure("random worlds, crossing links", Kind::Crossing, 0, CASES, settled);
    assert_eq!(tally.covered, tally.decidable, "coverage");
    assert!(tally.conflicts > 0 && tally.right < tally.assigned, "nothing crossed: {tally:?}");
}
