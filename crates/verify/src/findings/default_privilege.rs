//! Default privileges hand every future table to the application, before anybody has protected it.

use bastide_catalog::AclItem;
use bastide_sql::{Sql, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-041", title: "tables made later will be open to the application", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for default in posture.catalog.default_privileges.iter().filter(|default| default.object == 'r') {
        for item in default.acl.iter().filter(|item| posture.is_app(item.grantee.as_ref())) {
            let to = item.grantee.as_ref().map_or_else(|| sql!("PUBLIC"), |role| sql!("{}", role));
            let schema =
                default.schema.as_ref().map_or_else(|| sql!(""), |schema| sql!(" IN SCHEMA {}", schema));
            let kinds: Vec<Sql> = item.privileges.iter().map(|p| Sql::trusted(p.kind.clone())).collect();
            let object = default.schema.as_ref().unwrap_or(&default.role);
            let message =
                format!("tables that `{}` makes here are granted to {to} as they appear", default.role);
            let mend = sql!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {}{} REVOKE {} ON TABLES FROM {}",
                default.role,
                schema,
                bastide_sql::join(kinds, ", "),
                to
            );
            found.push(Weakness::new(Severity::Warning, object, message, mend));
        }
    }
    found.extend(on_schemas(posture));
    for kept in &posture.around.kept_defaults {
        let to = kept.grantee.as_ref().map_or_else(|| sql!("PUBLIC"), |role| sql!("{}", role));
        let message = format!(
            "tables that `{}` makes in Bastide's own schema are granted to {to} as they appear",
            kept.role
        );
        let mend = sql!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA bastide REVOKE {} ON TABLES FROM {}",
            kept.role,
            Sql::trusted(kept.privileges.clone()),
            to
        );
        found.push(Weakness::new(Severity::Critical, "bastide", message, mend));
    }
    found
}

fn on_schemas(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for default in posture.catalog.default_privileges.iter().filter(|default| default.object == 'n') {
        let creates = |item: &&AclItem| item.privileges.iter().any(|privilege| privilege.kind == "CREATE");
        for item in default.acl.iter().filter(|item| posture.is_app(item.grantee.as_ref())).filter(creates) {
            let to = item.grantee.as_ref().map_or_else(|| sql!("PUBLIC"), |role| sql!("{}", role));
            let message = format!("{to} may create objects in schemas that `{}` makes", default.role);
            let mend = sql!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE CREATE ON SCHEMAS FROM {}",
                default.role,
                to
            );
            found.push(Weakness::new(Severity::Warning, &default.role, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::{AclItem, DefaultPrivilege, Privilege};

    use crate::{
        Posture, Severity,
        findings::found,
        posture::{KeptDefault, fixture},
    };

    fn default(posture: &mut Posture, grantee: Option<&str>) {
        let privileges = vec![Privilege { kind: "SELECT".to_owned(), grantable: false }];
        let item =
            AclItem { grantee: grantee.map(fixture::ident), grantor: fixture::ident("shop"), privileges };
        let (role, schema) = (fixture::ident("shop"), Some(fixture::ident("public")));
        posture.catalog.default_privileges.push(DefaultPrivilege {
            role,
            schema,
            object: 'r',
            acl: vec![item],
        });
    }

    #[test]
    fn for_public_and_for_the_application_it_is_found() {
        for grantee in [None, Some("bastide_app")] {
            let bad = found(&CHECK, |posture| default(posture, grantee));
            assert_eq!(bad[0].object, "public");
            assert!(bad[0].mend.contains(r#"FOR ROLE "shop" IN SCHEMA "public" REVOKE SELECT ON TABLES"#));
        }
    }

    #[test]
    fn for_somebody_else_it_is_silent() {
        assert_eq!(found(&CHECK, |posture| default(posture, Some("reporting"))), []);
    }

    #[test]
    fn in_schema_bastide_and_on_schemas_it_is_found() {
        let kept = found(&CHECK, |posture| {
            let (role, privileges) = (fixture::ident("bastide_owner"), "SELECT".to_owned());
            posture.around.kept_defaults.push(KeptDefault { role, grantee: None, privileges });
        });
        assert_eq!((kept[0].object.as_str(), kept[0].severity), ("bastide", Severity::Critical));
        let schemas = found(&CHECK, |posture| {
            default(posture, Some("bastide_app"));
            let default = &mut posture.catalog.default_privileges[0];
            (default.object, default.schema) = ('n', None);
            default.acl[0].privileges[0].kind = "CREATE".to_owned();
        });
        assert_eq!(
            schemas[0].mend,
            r#"ALTER DEFAULT PRIVILEGES FOR ROLE "shop" REVOKE CREATE ON SCHEMAS FROM "bastide_app";"#
        );
    }
}
