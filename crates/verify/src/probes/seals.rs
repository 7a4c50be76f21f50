//! Tokens for attempts on a database that takes sealed tenant contexts only, made by the owner, who reads the keys.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bastide_sql::{Ident, Literal, sql};
use tokio_postgres::Client;

use super::attempt::call;
use crate::VerifyError;

/// As long as verification takes, and no report holds one.
const LIFETIME: &str = "1 hour";

pub(super) struct Seals {
    /// The login that `session_user` is for the attempts: through SET ROLE it is the owner's.
    login: Ident,
    /// By the tenant's key.
    tokens: Mutex<BTreeMap<String, String>>,
}

impl Seals {
    pub(super) fn of(login: Ident) -> Self {
        Self { login, tokens: Mutex::default() }
    }

    pub(super) fn login(&self) -> &str {
        self.login.as_str()
    }

    pub(super) async fn make(&self, owner: &Client, key: &str) -> Result<(), VerifyError> {
        let row = owner
            .query_one(
                "SELECT bastide.seal($1, $2::text::name, $3::text::interval)",
                &[&key, &self.login.as_str(), &LIFETIME],
            )
            .await
            .map_err(VerifyError::reading("a sealed tenant context"))?;
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), row.get(0));
        Ok(())
    }

    /// Statements as they are sent: each key that a context is set by becomes its token.
    pub(super) fn said(&self, text: &str) -> String {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().fold(text.to_owned(), |text, (key, token)| {
            text.replace(call(key).as_str(), call(token).as_str())
        })
    }

    /// A script asks for tokens, which whoever runs it has made by the owner: none is in a report.
    pub(super) fn asked_for(&self, script: String, way_in: &str) -> String {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut script, mut head) = (script, String::new());
        for (number, key) in tokens.keys().enumerate() {
            let with = format!("bastide.set_tenant(:'context_{number}')");
            if script.contains(call(key).as_str()) {
                let make = sql!(
                    "SELECT bastide.seal({}, {}, '10 minutes')",
                    Literal::text(key),
                    Literal::text(self.login.as_str())
                );
                // A key may hold a newline; a comment may not.
                head.push_str(&format!(
                    "-- as the owner: {}\n",
                    make.as_str().replace(char::is_control, " ")
                ));
                head.push_str(&format!("\\prompt 'what that answered: ' context_{number}\n"));
                script = script.replace(call(key).as_str(), &with);
            }
        }
        let rest = script.strip_prefix(way_in).unwrap_or(&script);
        format!("{way_in}{head}{rest}")
    }
}
