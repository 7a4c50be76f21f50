//! Runs inference over a database and reads back what it said of every row, to be measured by `testkit::truth`.

use std::collections::BTreeMap;

use bastide_plan::inference::{Graph, row_key, rules_of_pass, survey_script};
use bastide_sql::{Ident, Literal, Sql, sql};
use bastide_testkit::truth::{Own, Place, Scope, State, Undeclared, Visible, crossings};
use tokio_postgres::Client;

use crate::fixture::{RUN, begin};

/// Runs `script` and commits.
pub(crate) async fn run(client: &Client, script: &[Sql]) {
    begin(client).await;
    for statement in script.iter().chain([&sql!("COMMIT")]) {
        execute(client, statement).await;
    }
}

pub(crate) async fn execute(client: &Client, statement: &Sql) {
    let done = client.batch_execute(statement.as_str()).await;
    done.unwrap_or_else(|error| panic!("{:?}\n{statement}", error.as_db_error().map(|db| db.message())));
}

pub(crate) async fn visible(
    client: &Client,
    scopes: &[Scope],
    number: &Ident,
    undeclared: &[Undeclared],
) -> Visible {
    // Values are compared as text: as in the scripts, they must print alike.
    begin(client).await;
    let visible = Visible::read_with(client, scopes, number, undeclared).await;
    execute(client, &sql!("COMMIT")).await;
    visible
}

/// What a pass recorded, by row: the state, and the tenant as recorded.
pub(crate) async fn recorded(
    client: &Client,
    graph: &Graph,
    number: &Ident,
    pass: u32,
) -> BTreeMap<Place, State> {
    let (above, up_to) = rules_of_pass(pass);
    let mut found = BTreeMap::new();
    begin(client).await;
    for node in graph.nodes.iter().filter(|node| node.scoped && !node.root) {
        let relation = sql!("{}", node.table).to_string();
        let query = sql!(
            "SELECT t.{}::bigint, a.tenant, a.kind
             FROM ONLY {} AS t JOIN bastide.assignment AS a ON a.key = {} AND a.relation = {}
             WHERE a.run_id = {}::uuid AND a.rule > {} AND a.rule <= {}",
            number,
            node.table,
            row_key(&Ident::constant("t"), &node.key, &node.original_columns),
            Literal::text(relation.as_str()),
            Literal::text(RUN),
            above,
            up_to
        );
        for row in
            client.query(query.as_str(), &[]).await.unwrap_or_else(|error| panic!("{error:?}\n{query}"))
        {
            let state = match row.get(2) {
                "conflict" => State::Conflict,
                "unreachable" => State::Unknown,
                _ => State::One(row.get(1)),
            };
            let twice = found.insert((relation.clone(), row.get(0)), state);
            assert_eq!(twice, None, "a row of {relation} has two assignments in one pass");
        }
    }
    execute(client, &sql!("COMMIT")).await;
    found
}

/// The answers in the order of `visible`; every open row must have one, and no other row.
pub(crate) fn answers(visible: &Visible, recorded: &BTreeMap<Place, State>) -> Result<Vec<State>, String> {
    let mut answers = Vec::new();
    for (place, own) in visible.places.iter().zip(&visible.own) {
        answers.push(match (own, recorded.get(place)) {
            (Own::Fact(tenant), None) => State::One(tenant.clone()),
            (Own::Silent, None) => State::Unknown,
            (Own::Open | Own::Declared(_), Some(state)) => state.clone(),
            (own, found) => return Err(format!("{place:?} is {own:?} and was recorded as {found:?}")),
        });
    }
    Ok(answers)
}

/// What a survey counts must be what the states come to: kinds by table, and crossing links by foreign key.
pub(crate) async fn survey_agrees(
    client: &Client,
    graph: &Graph,
    visible: &Visible,
    states: &[State],
) -> Result<(), String> {
    let script = survey_script(graph);
    begin(client).await;
    for statement in &script.prepare {
        execute(client, statement).await;
    }
    let mut counted: BTreeMap<(String, &str), i64> = BTreeMap::new();
    for table in &script.tables {
        let Some(evidence) = &table.evidence else { continue };
        for row in client.query(evidence.as_str(), &[]).await.unwrap() {
            let kind = match row.get(0) {
                "conflict" => "conflict",
                "unreachable" => "unreachable",
                _ => "one",
            };
            *counted.entry((sql!("{}", table.table).to_string(), kind)).or_default() += row.get::<_, i64>(2);
        }
    }
    let mut links = BTreeMap::new();
    for link in &script.links {
        let row = client.query_one(link.counts.as_str(), &[]).await.unwrap();
        let (rows, crossing) = (row.get::<_, i64>(0).unsigned_abs(), row.get::<_, i64>(1).unsigned_abs());
        if rows > 0 {
            links.insert((link.link.table.clone(), link.link.foreign_key.clone()), (rows, crossing));
        }
    }
    execute(client, &sql!("ROLLBACK")).await;
    let mut expected: BTreeMap<(String, &str), i64> = BTreeMap::new();
    for row in visible.open() {
        let kind = match states[row] {
            State::Conflict => "conflict",
            State::Unknown => "unreachable",
            State::One(_) => "one",
        };
        *expected.entry((visible.places[row].0.clone(), kind)).or_default() += 1;
    }
    if counted != expected {
        return Err(format!("the survey counts {counted:?} where the evidence says {expected:?}"));
    }
    let expected = crossings(visible, states);
    if links != expected {
        return Err(format!("the survey counts links (all, crossing) {links:?} instead of {expected:?}"));
    }
    Ok(())
}
