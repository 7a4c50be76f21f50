//! The schema built again in a scratch database on the same server, to be looked at and dropped.

use bastide_engine::{MigrationGuard, Scratch};
use bastide_sql::{Ident, sql};
use tokio_postgres::error::SqlState;

use crate::{Options, Rendered, SchemaError, apply, up::known};

/// Whoever builds it drops it again ([`Built::drop`]), whatever came of looking at it.
pub(crate) struct Built {
    pub(crate) database: Ident,
    pub(crate) rendered: Vec<Rendered>,
    /// The application's login was not there, and roles are the whole cluster's.
    pub(crate) made_role: bool,
}

impl Built {
    pub(crate) async fn make(
        guard: &MigrationGuard,
        options: &Options,
        to: i32,
    ) -> Result<Self, SchemaError> {
        let made_role = !role_exists(guard, &options.app_role).await?;
        let database = Scratch::Schema.make(guard).await?;
        let mut built = Self { database, rendered: Vec::new(), made_role };
        match built.apply(options, to).await {
            Ok(()) => Ok(built),
            Err(error) => {
                built.drop(guard, options).await?;
                Err(error)
            }
        }
    }

    async fn apply(&mut self, options: &Options, to: i32) -> Result<(), SchemaError> {
        let target = options.place.target.with_database(self.database.as_str());
        let mut there = MigrationGuard::acquire(&target).await?;
        for version in 1..=to {
            let migration = known(options, version)?;
            let statements = apply::forward(&mut there, options, migration, apply::Password::None).await?;
            self.rendered.push(Rendered { version, name: migration.name.clone(), statements });
        }
        Ok(())
    }

    pub(crate) async fn drop(self, guard: &MigrationGuard, options: &Options) -> Result<(), SchemaError> {
        Scratch::Schema.drop(guard).await?;
        if !self.made_role {
            return Ok(());
        }
        let drop = sql!("DROP ROLE IF EXISTS {}", options.app_role);
        match guard.client().batch_execute(drop.as_str()).await {
            // Another database has come to use it meanwhile.
            Err(error) if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => Ok(()),
            dropped => {
                dropped.map_err(SchemaError::server("dropping the login that the scratch database had"))
            }
        }
    }
}

pub(crate) async fn role_exists(guard: &MigrationGuard, role: &Ident) -> Result<bool, SchemaError> {
    let found = guard.client().query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&role.as_str()]).await;
    Ok(found.map_err(SchemaError::server("looking for the application's login"))?.is_some())
}
