//! As much of a survey as planning needs.

use bastide_catalog::Catalog;
use bastide_plan::{
    Config, LinkSurvey, Survey, TableSurvey, Usage,
    classify::classify,
    inference::{self, Graph},
};
use tokio_postgres::{Client, Row};

pub(crate) async fn take(client: &Client, catalog: &Catalog, config: &Config) -> Survey {
    let mut survey = Survey::default();
    loop {
        let classification = classify(catalog, config, &survey.usage).unwrap();
        if classification.root.new {
            return survey;
        }
        let graph = Graph::build(catalog, &classification.root, &classification.scoped());
        client.batch_execute("BEGIN").await.unwrap();
        let script = inference::survey_script(&graph);
        for statement in inference::prelude().into_iter().chain(script.prepare) {
            client.batch_execute(statement.as_str()).await.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
        }
        if classification.wanted.is_empty() {
            let tenants = bastide_sql::sql!("SELECT count(*) FROM {}", classification.root.table);
            survey.tenants = number(&client.query_one(tenants.as_str(), &[]).await.unwrap(), 0);
            for table in script.tables {
                let row = client.query_one(table.counts.as_str(), &[]).await.unwrap();
                let counts =
                    TableSurvey { rows: number(&row, 0), had_tenant: number(&row, 1), ..Default::default() };
                survey.tables.insert(table.table, counts);
            }
            for link in script.links {
                let row = client.query_one(link.counts.as_str(), &[]).await.unwrap();
                survey.links.push(LinkSurvey {
                    table: link.link.table,
                    foreign_key: link.link.foreign_key,
                    references: link.link.references,
                    rows: number(&row, 0),
                    crossing: number(&row, 1),
                    samples: Vec::new(),
                });
            }
            client.batch_execute("ROLLBACK").await.unwrap();
            return survey;
        }
        for measure in inference::usage_script(&graph, catalog, &classification.wanted) {
            let row = client.query_one(measure.counts.as_str(), &[]).await.unwrap();
            let usage = Usage { rows: number(&row, 0), by_one: number(&row, 1), by_many: number(&row, 2) };
            survey.usage.insert(measure.table, usage);
        }
        client.batch_execute("ROLLBACK").await.unwrap();
    }
}

fn number(row: &Row, at: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(at)).unwrap()
}
