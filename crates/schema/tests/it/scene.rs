//! A server of the test's own, and databases on it to build the schema in.

use std::path::Path;

use bastide_catalog::Catalog;
use bastide_connect::Target;
use bastide_demo::LegacyShop;
use bastide_engine::{BackupChoice, Event, MigrateOptions, OnFailure, Patience, Place, without_backup};
use bastide_plan::{Config, Declarations, Plan, RootChoice};
use bastide_schema::{Migrations, Options, SchemaError, Undone, Up, comparable};
use bastide_sql::Ident;
use bastide_testkit::{Database, Server};
use tempfile::TempDir;
use uuid::Uuid;

use crate::small::small;

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) db: Database,
    pub(crate) options: Options,
    state: TempDir,
}

const SHOP: LegacyShop = LegacyShop { seed: 1, scale: 0.02 };

pub(crate) fn app() -> Ident {
    Ident::constant("bastide_app")
}

pub(crate) fn quiet(_: &str) {}

impl Scene {
    /// An empty database.
    pub(crate) async fn empty() -> Self {
        let server = bastide_testkit::server().await;
        let db = server.database("platform").await;
        Self::of(server, db)
    }

    /// An empty database for three small migrations.
    pub(crate) async fn small() -> Self {
        Self::with(small()).await
    }

    pub(crate) async fn with(migrations: Migrations) -> Self {
        let mut scene = Self::empty().await;
        scene.options.migrations = migrations;
        scene
    }

    /// The legacy shop, a small one, as it was before anything.
    pub(crate) async fn legacy() -> Self {
        let server = bastide_testkit::server().await;
        let maintenance = Target::parse(&server.existing("postgres").url()).unwrap();
        SHOP.create(&maintenance, &Ident::constant("shop")).await.unwrap();
        let db = server.existing("shop");
        Self::of(server, db)
    }

    fn of(server: Server, db: Database) -> Self {
        let state = tempfile::tempdir().unwrap();
        let options = Options {
            place: place(&db.url(), state.path()),
            app_role: app(),
            app_password: Some("app".to_owned()),
            migrations: Migrations::embedded().unwrap(),
        };
        Self { server, db, options, state }
    }

    pub(crate) fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// The same migrations in another database of the server.
    pub(crate) async fn beside(&self, name: &str) -> (Database, Options) {
        let db = self.server.database(name).await;
        let options = Options { place: place(&db.url(), self.state.path()), ..self.options.clone() };
        (db, options)
    }

    pub(crate) async fn up(&self, to: Option<i32>) -> Result<Up, SchemaError> {
        bastide_schema::up(&self.options, to, &quiet).await
    }

    pub(crate) async fn down(&self, to: Option<i32>) -> Result<Undone, SchemaError> {
        bastide_schema::down(&self.options, to, &quiet).await
    }

    pub(crate) async fn catalog(&self) -> Catalog {
        read(&self.db).await
    }

    /// The seven phases and cutover, every default taken.
    pub(crate) async fn migrate(&self) -> Uuid {
        let place = &self.options.place;
        let plan = self.plan().await;
        let options = MigrateOptions {
            place: place.clone(),
            plan,
            until: None,
            on_failure: OnFailure::Stop,
            backup: no_backup(),
            app_password: Some("app".to_owned()),
        };
        let run = bastide_engine::migrate(&options, &told).await.unwrap().run.id;
        bastide_engine::cutover(place, None, &told).await.unwrap();
        run
    }

    pub(crate) async fn plan(&self) -> Plan {
        let config = Config {
            root: RootChoice::Existing("public.merchants".parse().unwrap()),
            app_role: app(),
            exclude_schemas: Default::default(),
            exclude_tables: Default::default(),
            accept_defaults: true,
            declared: Declarations::default(),
            answers: SHOP.answers(),
        };
        bastide_engine::make_plan(&self.options.place.target, &config, &told).await.unwrap()
    }
}

pub(crate) fn place(url: &str, state: &Path) -> Place {
    let target = Target::parse(url).unwrap();
    Place { target, app: None, state_dir: state.to_owned(), patience: Patience::default() }
}

fn told(_: &Event) {}

fn no_backup() -> BackupChoice {
    without_backup("the test", "a copy can be made again")
}

/// As the schema's own comparison has it.
pub(crate) async fn read(db: &Database) -> Catalog {
    comparable(&bastide_catalog::read(&mut db.client().await).await.unwrap(), &app())
}
