//! Who may create in a schema can plant functions and tables that others, resolving names there, run and trust.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-014",
    title: "the application may create objects",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for creation in &posture.creations {
        let from = posture.grantees(None);
        let (object, message, mend) = match &creation.schema {
            Some(schema) => (
                schema.to_string(),
                format!("`{}` may create objects in this schema, which others may resolve names in", posture.app),
                sql!("REVOKE CREATE ON SCHEMA {} FROM {}", schema, from),
            ),
            None => (
                posture.catalog.server.database.to_string(),
                format!("`{}` may create schemas in this database", posture.app),
                sql!("REVOKE CREATE ON DATABASE {} FROM {}", posture.catalog.server.database, from),
            ),
        };
        let ours = creation.schema.as_ref().is_some_and(|schema| schema.as_str() == "bastide");
        let severity = match creation.through_public {
            // Policies and look-ups resolve names there.
            _ if ours => Severity::Critical,
            // What PUBLIC has is what databases from before PostgreSQL 15 come with, and legacy logins may build on it.
            true => Severity::Info,
            false => Severity::Warning,
        };
        found.push(Weakness::new(severity, object, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{CHECK, Severity};
    use crate::{findings::found, posture::{Creation, fixture}};

    #[test]
    fn create_on_a_schema_and_on_the_database_are_found() {
        let bad = found(&CHECK, |posture| {
            posture.creations.push(Creation { schema: Some(fixture::ident("public")), through_public: true });
            posture.creations.push(Creation { schema: None, through_public: false });
        });
        assert_eq!(bad[0].mend, r#"REVOKE CREATE ON SCHEMA "public" FROM PUBLIC, "bastide_app";"#);
        assert_eq!((bad[0].severity, bad[1].severity), (Severity::Info, Severity::Warning));
        assert_eq!(bad[1].mend, r#"REVOKE CREATE ON DATABASE "shop" FROM PUBLIC, "bastide_app";"#);
    }

    #[test]
    fn creating_nowhere_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
