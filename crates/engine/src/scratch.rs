//! A database beside the one a run is about, to build something in for real, look at it, and drop it.

use bastide_sql::{Ident, Literal, Sql, join, sql};

use crate::{EngineError, MigrationGuard};

/// What it is for; each has a name of its own, one per database, and the lock lets one command at a time use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scratch {
    /// The backup is restored into it.
    Backup,
    /// The platform's schema is built in it.
    Schema,
}

impl Scratch {
    /// A new one, empty, in place of what a killed command left.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn make(self, guard: &MigrationGuard) -> Result<Ident, EngineError> {
        self.drop(guard).await?;
        let name = self.name(guard).await?;
        for statement in creation(guard, &name).await? {
            let made = guard.client().batch_execute(statement.as_str()).await;
            made.map_err(EngineError::server("making a scratch database"))?;
        }
        Ok(name)
    }

    /// # Errors
    /// When the server refuses.
    pub async fn drop(self, guard: &MigrationGuard) -> Result<(), EngineError> {
        let drop = sql!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name(guard).await?);
        guard
            .client()
            .batch_execute(drop.as_str())
            .await
            .map_err(EngineError::server("dropping the scratch database"))
    }

    async fn name(self, guard: &MigrationGuard) -> Result<Ident, EngineError> {
        let oid: u32 = guard
            .client()
            .query_one("SELECT oid FROM pg_database WHERE datname = current_database()", &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(EngineError::server("naming the scratch database"))?;
        let stem = match self {
            Self::Backup => "bastide_verify_",
            Self::Schema => "bastide_schema_",
        };
        Ok(Ident::derived(stem, &oid.to_string()))
    }
}

/// A database that sorts, encodes and stores as the original does, closed to all but us.
async fn creation(guard: &MigrationGuard, scratch: &Ident) -> Result<[Sql; 2], EngineError> {
    let reading = "reading the database's encoding and locale";
    // The columns' names differ between versions.
    let row = guard
        .client()
        .query_one(
            "SELECT pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, d.datlocprovider::text, coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'), to_jsonb(d)->>'daticurules', s.spcname::text FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace WHERE d.datname = current_database()",
            &[],
        )
        .await
        .map_err(EngineError::server(reading))?;
    let text = |at: usize| row.try_get::<_, Option<String>>(at).map_err(EngineError::server(reading));
    let literal = |text: Option<String>| Literal::text(text.unwrap_or_default());
    let space = Ident::new(text(6)?.unwrap_or_default());
    let space = space.map_err(|error| EngineError::Preflight(error.to_string()))?;
    let provider = text(3)?;
    let mut options = vec![
        sql!("ENCODING {}", literal(text(0)?)),
        sql!("LC_COLLATE {}", literal(text(1)?)),
        sql!("LC_CTYPE {}", literal(text(2)?)),
        sql!("TABLESPACE {}", space),
    ];
    match (provider.as_deref(), text(4)?) {
        (Some("i"), Some(locale)) => {
            options.push(sql!("LOCALE_PROVIDER icu ICU_LOCALE {}", Literal::text(locale)));
            options.extend(text(5)?.map(|rules| sql!("ICU_RULES {}", Literal::text(rules))));
        }
        (Some("b"), Some(locale)) => {
            options.push(sql!("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", Literal::text(locale)));
        }
        _ => options.push(sql!("LOCALE_PROVIDER libc")),
    }
    Ok([
        sql!("CREATE DATABASE {} TEMPLATE template0 {}", scratch, join(options, " ")),
        sql!("REVOKE ALL ON DATABASE {} FROM PUBLIC", scratch),
    ])
}
