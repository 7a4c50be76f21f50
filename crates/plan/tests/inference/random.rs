//! Random graphs whose true tenants are known: every assignment is right, and none is missed.

use std::{collections::BTreeMap, fmt::Write};

use bastide_plan::inference::Graph;
use bastide_testkit::Database;

use crate::{
    fixture::{QUARANTINE, assigned, bootstrap, graph},
    reference::{Place, Row, State, fixpoint},
};

/// xorshift: the same seed makes the same database on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

struct Shop {
    tables: Vec<Vec<Row>>,
    targets: Vec<Vec<usize>>,
}

const TENANTS: u32 = 4;

/// References join rows of one tenant, but for `crossing` per cent of them.
fn shop(seed: u64, crossing: usize) -> Shop {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let count = 3 + dice.below(6);
    let targets: Vec<Vec<usize>> =
        (0..count).map(|_| (0..dice.below(4)).map(|_| dice.below(count)).collect()).collect();
    let hidden: Vec<usize> = (0..count).map(|_| [50, 85, 97, 100][dice.below(4)]).collect();
    let mut tables: Vec<Vec<Row>> = (0..count)
        .map(|t| {
            (0..5 + dice.below(60))
                .map(|_| {
                    let truth = 1 + u32::try_from(dice.below(TENANTS as usize)).unwrap();
                    let own = (!dice.chance(hidden[t])).then_some(truth);
                    Row { truth, own, references: Vec::new() }
                })
                .collect()
        })
        .collect();
    for t in 0..count {
        for r in 0..tables[t].len() {
            for &target in &targets[t] {
                let wanted = (!dice.chance(crossing)).then_some(tables[t][r].truth);
                let fitting: Vec<usize> = (0..tables[target].len())
                    .filter(|&to| wanted.is_none_or(|tenant| tables[target][to].truth == tenant))
                    .collect();
                let to =
                    (!fitting.is_empty() && !dice.chance(25)).then(|| fitting[dice.below(fitting.len())]);
                tables[t][r].references.push(to);
            }
        }
    }
    Shop { tables, targets }
}

async fn load(db: &Database, shop: &Shop) {
    let mut sql = String::from("CREATE TABLE m (id integer PRIMARY KEY);");
    write!(sql, "INSERT INTO m SELECT generate_series(1, {TENANTS});").unwrap();
    for (t, rows) in shop.tables.iter().enumerate() {
        let references: String = (0..shop.targets[t].len()).map(|r| format!(", r{r} integer")).collect();
        write!(
            sql,
            "CREATE TABLE t{t} (id integer PRIMARY KEY, tenant_id integer REFERENCES m{references});"
        )
        .unwrap();
        for (r, row) in rows.iter().enumerate() {
            let null = || "NULL".to_owned();
            let own = row.own.map_or_else(null, |own| own.to_string());
            let to: String = row
                .references
                .iter()
                .map(|to| format!(", {}", to.map_or_else(null, |to| to.to_string())))
                .collect();
            write!(sql, "INSERT INTO t{t} VALUES ({r}, {own}{to});").unwrap();
        }
    }
    for (t, targets) in shop.targets.iter().enumerate() {
        for (r, target) in targets.iter().enumerate() {
            write!(sql, "ALTER TABLE t{t} ADD FOREIGN KEY (r{r}) REFERENCES t{target};").unwrap();
        }
    }
    db.execute(&sql).await;
}

async fn answers(db: &Database, graph: &Graph) -> BTreeMap<Place, State> {
    db.execute("TRUNCATE bastide.assigned, bastide.rule").await;
    assigned(db, graph).await;
    let query = "SELECT substring(a.relation from '\"t([0-9]+)\"'), a.key->>0, a.tenant, r.kind
                 FROM bastide.assignment a JOIN bastide.rule r ON r.id = a.rule";
    let rows = db.query_rows(query).await;
    rows.iter()
        .map(|row| {
            let fields: Vec<&str> = row.split('|').collect();
            let place = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
            let state = match fields[3] {
                "conflict" => State::Conflict,
                "unreachable" => State::Unknown,
                _ => State::One(fields[2].parse().unwrap()),
            };
            assert_eq!(matches!(state, State::One(_)), fields[2] != QUARANTINE);
            (place, state)
        })
        .collect()
}

/// One database per seed: the SQL's answers in three orders of edges, and the reference's.
async fn check(seed: u64, crossing: usize) -> (usize, usize) {
    let server = bastide_testkit::server().await;
    let (mut right, mut settled) = (0, 0);
    for seed in seed * 100..seed * 100 + 12 {
        let shop = shop(seed, crossing);
        let db = server.database(&format!("random_{seed}")).await;
        bootstrap(&db).await;
        load(&db, &shop).await;
        let scoped: Vec<String> = (0..shop.tables.len()).map(|t| format!("public.t{t}")).collect();
        let scoped: Vec<(&str, &str)> = scoped.iter().map(|table| (table.as_str(), "tenant_id")).collect();
        let mut graph = graph(&db, "public.m", "id", &scoped).await;
        let mut expected = fixpoint(&shop.tables, &shop.targets);
        expected.retain(|&(t, r), _| shop.tables[t][r].own.is_none());
        let mut dice = Dice(seed + 77);
        for order in 0..3 {
            assert_eq!(answers(&db, &graph).await, expected, "seed {seed}, order {order}");
            for last in (1..graph.edges.len()).rev() {
                graph.edges.swap(last, dice.below(last + 1));
            }
        }
        for (&(t, r), state) in &expected {
            if let State::One(tenant) = state {
                settled += 1;
                right += usize::from(shop.tables[t][r].truth == *tenant);
            }
        }
    }
    (right, settled)
}

#[tokio::test]
async fn where_no_reference_crosses_every_assignment_is_right_and_none_is_missed() {
    for seed in 1..=2 {
        let (right, settled) = check(seed, 0).await;
        assert!(settled > 1_000, "only {settled} rows were settled: the test looked at too little");
        assert_eq!(right, settled, "precision");
    }
}

#[tokio::test]
async fn where_references_cross_the_answers_are_those_of_the_strata() {
    let (right, settled) = check(3, 4).await;
    assert!(settled > 0 && right > 0);
}
