//! Catalogs of real databases: one made of everything that trips readers of catalogs, and those users have sent.

mod compare;
mod legacy;
mod moving;
mod read;
mod relations;

use bastide_catalog::{Catalog, Table, View};
use bastide_testkit::{Database, Server, template};

const NASTY: &str = include_str!("nasty.sql");

/// A database with the schema of `nasty.sql`. The server stops when dropped.
async fn nasty() -> (Server, Database) {
    template("catalog-nasty", NASTY, async |database| database.execute(NASTY).await).await
}

async fn read(database: &Database) -> Catalog {
    bastide_catalog::read(&mut database.client().await).await.unwrap_or_else(|error| panic!("{error}"))
}

fn table<'a>(catalog: &'a Catalog, name: &str) -> &'a Table {
    catalog.tables.get(&name.parse().unwrap()).unwrap_or_else(|| panic!("{name} was not read"))
}

fn view<'a>(catalog: &'a Catalog, name: &str) -> &'a View {
    catalog.views.get(&name.parse().unwrap()).unwrap_or_else(|| panic!("{name} was not read"))
}

/// Names, or anything else that prints, on one line.
fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
