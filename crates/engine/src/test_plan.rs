//! A plan without steps, for tests of the machinery below it.

use std::collections::BTreeMap;

use bastide_catalog::Fingerprint;
use bastide_plan::{Config, Database, PLAN_FORMAT, Plan, RootChoice, TenantRoot};
use bastide_sql::{Ident, Sql};

use crate::MigrationGuard;

pub(crate) async fn empty_plan(guard: &mut MigrationGuard) -> Plan {
    let catalog = bastide_catalog::read(guard.client_mut()).await.unwrap();
    let root: bastide_sql::QualifiedName = "public.orders".parse().unwrap();
    Plan {
        format: PLAN_FORMAT,
        bastide: env!("CARGO_PKG_VERSION").to_owned(),
        database: Database {
            name: catalog.server.database.clone(),
            system_identifier: catalog.server.system_identifier.clone(),
            oid: catalog.server.database_oid,
            server_version: catalog.server.version,
        },
        fingerprint: Fingerprint::of(&catalog),
        config: Config {
            root: RootChoice::Existing(root.clone()),
            app_role: Ident::constant("bastide_app"),
            exclude_schemas: Default::default(),
            exclude_tables: Default::default(),
            accept_defaults: false,
            declared: bastide_plan::Declarations::default(),
            answers: Default::default(),
        },
        root: TenantRoot {
            table: root,
            key: Ident::constant("id"),
            key_type: Sql::trusted("bigint"),
            new: false,
            first_tenant: None,
        },
        quarantine: None,
        tables: BTreeMap::new(),
        links: Vec::new(),
        questions: Vec::new(),
        notes: Vec::new(),
        steps: Vec::new(),
    }
}
