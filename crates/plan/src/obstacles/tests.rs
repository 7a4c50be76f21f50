//! Whatever PUBLIC holds that verification would fail for is refused, with the REVOKE to type.

use bastide_catalog::{DefaultPrivilege, TableKind};

use crate::{
    Config, Survey, Usage,
    fixture::{Fixture, existing, grant, ident, name, shop},
    plan,
};

fn answered(fixture: Fixture, config: &Config) -> Result<(), String> {
    let usage = Usage { rows: 1000, by_one: 10, by_many: 900 };
    let survey = Survey { tenants: 3, usage: [(name("products"), usage)].into(), ..Survey::default() };
    plan(&fixture.catalog(), &survey, config).map(|_| ()).map_err(|refusal| refusal.to_string())
}

fn refused(fixture: Fixture) -> String {
    answered(fixture, &existing("merchants")).unwrap_err()
}

fn by_default(grantee: Option<&str>, schema: Option<&str>, object: char) -> Fixture {
    let acl = vec![grant(Some("clerk"), &["SELECT"]), grant(grantee, &["INSERT", "SELECT"])];
    let (role, schema) = (ident("Owner"), schema.map(ident));
    shop().change(|catalog| {
        catalog.default_privileges.push(DefaultPrivilege { role, schema, object, acl });
    })
}

#[test]
fn tables_open_as_they_appear() {
    insta::assert_snapshot!(refused(by_default(None, None, 'r')), @r#"tables that "Owner" makes later would be granted to PUBLIC (INSERT, SELECT) before anything protects them; run ALTER DEFAULT PRIVILEGES FOR ROLE "Owner" REVOKE INSERT, SELECT ON TABLES FROM PUBLIC and grant on each table by name"#);
    insta::assert_snapshot!(refused(by_default(Some("bastide_app"), Some("public"), 'r')), @r#"tables that "Owner" makes later in the schema public would be granted to bastide_app (INSERT, SELECT) before anything protects them; run ALTER DEFAULT PRIVILEGES FOR ROLE "Owner" IN SCHEMA public REVOKE INSERT, SELECT ON TABLES FROM bastide_app and grant on each table by name"#);
    // Functions come with EXECUTE for PUBLIC anyway, and somebody else's grant opens nothing to the application.
    assert_eq!(answered(by_default(None, None, 'f'), &existing("merchants")), Ok(()));
    assert_eq!(answered(by_default(Some("clerk"), None, 'r'), &existing("merchants")), Ok(()));
}

#[test]
fn the_setting_under_which_no_key_is_checked() {
    let set = |parameter: &str| {
        let parameter = parameter.to_owned();
        shop().change(|catalog| catalog.server.public_parameters.push(parameter))
    };
    insta::assert_snapshot!(refused(set("session_replication_role")), @"PUBLIC has SET on the parameter session_replication_role, under which no foreign key and no trigger fires, and so would the application; run REVOKE SET ON PARAMETER session_replication_role FROM PUBLIC and grant to the roles that need it by name");
    assert_eq!(answered(set("log_statement"), &existing("merchants")), Ok(()));
}

#[test]
fn one_column_of_a_table_or_a_view_is_enough() {
    let fixture = shop().with(|table| table.columns[0].acl = Some(vec![grant(None, &["REFERENCES"])]));
    insta::assert_snapshot!(refused(fixture), @"public.orders: row security does not filter all that can be done to it, but PUBLIC has REFERENCES on it, and so would the application; run REVOKE REFERENCES ON public.orders FROM PUBLIC and grant to the roles that need it by name");

    let fixture = shop().view("all_of_it", &["orders", "pg_class"]).change(|catalog| {
        let mut column = catalog.tables[&name("orders")].columns[0].clone();
        column.acl = Some(vec![grant(None, &["SELECT"])]);
        catalog.views.get_mut(&name("all_of_it")).unwrap().columns = vec![column];
    });
    insta::assert_snapshot!(refused(fixture), @"public.all_of_it: it reads public.pg_class, which no policy covers, but PUBLIC has SELECT on it, and so would the application; run REVOKE SELECT ON public.all_of_it FROM PUBLIC and grant to the roles that need it by name");
}

#[test]
fn what_may_be_written_by_all_is_not_shared_and_what_is_closed_not_read() {
    let products = |privileges: &[&str]| {
        let acl = vec![grant(None, privileges)];
        shop().change(|catalog| catalog.tables.get_mut(&name("products")).unwrap().acl = Some(acl))
    };
    insta::assert_snapshot!(refused(products(&["SELECT", "UPDATE"])), @"public.products: it is shared, so the application may only read it, but PUBLIC has UPDATE on it, and so would the application; run REVOKE UPDATE ON public.products FROM PUBLIC and grant to the roles that need it by name");
    assert_eq!(answered(products(&["SELECT"]), &existing("merchants")), Ok(()));
    let closed = Config { exclude_tables: [name("products")].into(), ..existing("merchants") };
    insta::assert_snapshot!(answered(products(&["SELECT"]), &closed).unwrap_err(), @"public.products: it is closed to the application, but PUBLIC has SELECT on it, and so would the application; run REVOKE SELECT ON public.products FROM PUBLIC and grant to the roles that need it by name");
}

#[test]
fn a_foreign_table_is_not_shared() {
    let far = || shop().table("far", &["id int"]).with(|table| table.kind = TableKind::Foreign);
    let with = |answer: &str| {
        let answers = [("class:public.far".to_owned(), answer.to_owned())].into();
        answered(far(), &Config { answers, ..existing("merchants") })
    };
    insta::assert_snapshot!(with("shared").unwrap_err(), @"public.far is a foreign table, which no policy filters, so it cannot be shared with the application; answer `closed` to class:public.far, or leave it out with --exclude-table public.far");
    assert_eq!(with("closed"), Ok(()));
}
