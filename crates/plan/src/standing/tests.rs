//! What is asked about, in which words, and of whom nothing is asked.

use bastide_catalog::{Function, FunctionKind, Trigger, TriggerEnabled, Volatility};
use bastide_sql::Sql;

use crate::{
    Around, Config, KeyOff, ParameterGrant, Plan, Survey, Usage, Withheld,
    fixture::{Fixture, existing, grant, ident, name, shop},
    plan,
};

fn function(of: &str, owner: &str) -> Function {
    Function {
        name: name(of),
        arguments: Sql::trusted(""),
        kind: FunctionKind::Function,
        owner: ident(owner),
        acl: None,
        security_definer: true,
        leakproof: false,
        volatility: Volatility::Volatile,
        language: "plpgsql".to_owned(),
        settings: vec!["search_path=pg_catalog, pg_temp".to_owned()],
        returns_trigger: true,
        extension: None,
        source: "BEGIN RETURN NULL; END".to_owned(),
    }
}

fn with(function: Function, tables: &[&str]) -> Fixture {
    let trigger = Trigger {
        name: ident("fires"),
        function: function.name.clone(),
        on_insert: true,
        on_update: false,
        on_delete: false,
        on_truncate: false,
        before: false,
        for_each_row: true,
        enabled: TriggerEnabled::Origin,
        definition: Sql::trusted("CREATE TRIGGER"),
    };
    shop().change(|catalog| {
        catalog.functions.push(function);
        for table in tables {
            catalog.tables.get_mut(&name(table)).unwrap().triggers.push(trigger.clone());
        }
    })
}

fn planned(fixture: Fixture, around: Around, answers: &[(&str, &str)]) -> Plan {
    let usage = Usage { rows: 1000, by_one: 10, by_many: 900 };
    let survey =
        Survey { tenants: 3, usage: [(name("products"), usage)].into(), around, ..Survey::default() };
    let answers = answers.iter().map(|(id, answer)| ((*id).to_owned(), (*answer).to_owned()));
    let config = Config { accept_defaults: true, answers: answers.collect(), ..existing("merchants") };
    plan(&fixture.catalog(), &survey, &config).unwrap()
}

fn asked(fixture: Fixture) -> String {
    let plan = planned(fixture, Around::default(), &[]);
    let asked = plan.open().map(|question| format!("{}: {}", question.id, question.text));
    asked.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_definer_whom_no_policy_binds_is_one_question_however_many_triggers_run_it() {
    let loose = Function { settings: Vec::new(), ..function("audit", "postgres") };
    insta::assert_snapshot!(asked(with(loose, &["customers", "orders"])), @"definer:public.audit: The function public.audit, run by the triggers fires of public.customers, fires of public.orders, is SECURITY DEFINER and runs as postgres, whom no policy binds: what it reads and writes is of every tenant, whoever fires it; and it looks names up in whatever schemas its caller set. `accept`: it was read, and brings no tenant what is another's. Otherwise run ALTER FUNCTION public.audit() SECURITY INVOKER and ALTER FUNCTION public.audit() SET search_path = pg_catalog, public, pg_temp, and plan again.");
    let fixed = function("audit", "postgres");
    insta::assert_snapshot!(asked(with(fixed.clone(), &["orders"])), @"definer:public.audit: The function public.audit, run by the trigger fires of public.orders, is SECURITY DEFINER and runs as postgres, whom no policy binds: what it reads and writes is of every tenant, whoever fires it. `accept`: it was read, and brings no tenant what is another's. Otherwise run ALTER FUNCTION public.audit() SECURITY INVOKER, and plan again.");
    // A shared table's trigger never runs for what the application may do to it.
    assert_eq!(asked(with(fixed.clone(), &["products"])), "");
    assert_eq!(asked(with(fixed, &[])), "");
}

#[test]
fn names_are_looked_up_where_its_author_meant() {
    let with_path = |path: &[&str]| {
        let settings = path.iter().map(|path| format!("search_path={path}")).collect();
        Function { settings, ..function("audit", "owner") }
    };
    insta::assert_snapshot!(asked(with(with_path(&[]), &["orders"])), @"definer:public.audit: The function public.audit, run by the trigger fires of public.orders, is SECURITY DEFINER and runs as owner, and looks names up in whatever schemas its caller set. `accept`: it was read, and brings no tenant what is another's. Otherwise run ALTER FUNCTION public.audit() SET search_path = pg_catalog, public, pg_temp, and plan again.");
    insta::assert_snapshot!(asked(with(with_path(&["public"]), &["orders"])), @"definer:public.audit: The function public.audit, run by the trigger fires of public.orders, is SECURITY DEFINER and runs as owner, and looks into pg_temp first, where its caller makes tables. `accept`: it was read, and brings no tenant what is another's. Otherwise run ALTER FUNCTION public.audit() SET search_path = pg_catalog, public, pg_temp, and plan again.");
    let open = || with(with_path(&["public, pg_temp"]), &["orders"]);
    assert_eq!(asked(open()), "");
    let upgraded = open().change(|catalog| {
        catalog.schemas.get_mut(&ident("public")).unwrap().acl =
            Some(vec![grant(None, &["CREATE", "USAGE"])]);
    });
    insta::assert_snapshot!(asked(upgraded), @"definer:public.audit: The function public.audit, run by the trigger fires of public.orders, is SECURITY DEFINER and runs as owner, and looks into public, where everybody may create objects. `accept`: it was read, and brings no tenant what is another's. Otherwise run ALTER FUNCTION public.audit() SET search_path = pg_catalog, public, pg_temp, and plan again.");
    let extension = Function { extension: Some("moddatetime".to_owned()), ..with_path(&[]) };
    assert_eq!(asked(with(extension, &["orders"])), "");
}

#[test]
fn what_tells_everybody_and_what_looks_before_the_policy() {
    let source = "BEGIN PERFORM pg_notify('sales', NEW.id::text); RETURN NULL; END".to_owned();
    let tells = Function { security_definer: false, source, ..function("tell", "owner") };
    insta::assert_snapshot!(asked(with(tells.clone(), &["orders"])), @"notify:public.tell: The function public.tell, run by the trigger fires of public.orders, uses NOTIFY. Whoever is connected may LISTEN, so every tenant can hear what it sends. `accept`: what it sends tells nothing of a row (a key, and no more), or nobody but you is connected. Otherwise have it send less, or drop the trigger, and plan again.");
    assert_eq!(asked(with(tells, &["products"])), "");
    let peeks = Function {
        leakproof: true,
        security_definer: false,
        returns_trigger: false,
        ..function("peek", "owner")
    };
    insta::assert_snapshot!(asked(with(peeks, &[])), @"leakproof:public.peek(): The function public.peek() is LEAKPROOF, so the server may run it on other tenants' rows before a policy filters them. `accept`: no error or notice of it tells what it was given. Otherwise run ALTER FUNCTION public.peek() NOT LEAKPROOF, and plan again.");
}

#[test]
fn what_stands_around_is_asked_about_and_only_the_operator_answers() {
    let off = |table: &str| {
        let off = KeyOff { foreign_key: ident("orders_customer_id_fkey"), trigger: ident("RI_1") };
        (name(table), vec![off])
    };
    let around = Around {
        keys_off: [off("orders"), off("products")].into(),
        large_objects: 2,
        large_objects_open: true,
        foreign_servers: vec![ident("away")],
        foreign_wrappers: vec![ident("far")],
        leakproof_builtins: vec!["pg_catalog.textlike(text, text)".to_owned()],
        ..Around::default()
    };
    let plan = planned(shop(), around.clone(), &[]);
    let asked: Vec<String> =
        plan.open().map(|question| format!("{}: {}", question.id, question.text)).collect();
    insta::assert_snapshot!(asked.join("\n"), @r#"
    enforcement:public.orders: Foreign keys of public.orders are switched off (orders_customer_id_fkey), as DISABLE TRIGGER ALL leaves them: rows that lead nowhere, or to another tenant's, get in, and nobody is told. `accept`: they stay off, but for those that cutover puts keys of its own in the place of. Otherwise run ALTER TABLE public.orders ENABLE TRIGGER "RI_1", and plan again.
    leakproof:pg_catalog.textlike(text, text): The function pg_catalog.textlike(text, text) was made LEAKPROOF here, which PostgreSQL does not say of it, so the server may run it on other tenants' rows before a policy filters them. `accept`: no error or notice of it tells what it was given. Otherwise run ALTER FUNCTION pg_catalog.textlike(text, text) NOT LEAKPROOF, and plan again.
    large_objects: 2 large objects may be read or written by the application, by a grant to PUBLIC or to its login; no policy filters them. `accept`: every tenant may have what is in them. Otherwise run REVOKE ALL ON LARGE OBJECT for each (SELECT oid FROM pg_largeobject_metadata), and plan again.
    large_objects:all: lo_compat_privileges is on, so every login reads and writes every large object, whosever it is. `accept`: there is nothing in them that a tenant must not see. Otherwise reset it (ALTER SYSTEM, or ALTER DATABASE where it is preset there), and plan again.
    server:away: The application may use the foreign server away, by a grant to PUBLIC or to its login: it connects there as a user mapping has it, maybe back to this database, and no policy of Bastide's reaches that far. `accept`: nothing is there that a tenant must not see. Otherwise run REVOKE USAGE ON FOREIGN SERVER away FROM PUBLIC, grant it to the roles that need it by name, and plan again.
    wrapper:far: The application may make foreign servers with the wrapper far, by a grant to PUBLIC or to its login. `accept`: it may. Otherwise run REVOKE USAGE ON FOREIGN DATA WRAPPER far FROM PUBLIC, grant it to the roles that need it by name, and plan again.
    "#);
    let ids: Vec<(String, &str)> = plan.open().map(|question| (question.id.clone(), "accept")).collect();
    let ids: Vec<(&str, &str)> = ids.iter().map(|(id, answer)| (id.as_str(), *answer)).collect();
    let accepted = planned(shop(), around, &ids);
    assert_eq!((accepted.open().count(), accepted.steps), (0, plan.steps));
}

#[test]
fn a_key_that_nobody_ever_held_the_rows_to_is_asked_about() {
    let shop = || {
        shop().change(|catalog| {
            catalog.tables.get_mut(&name("customers")).unwrap().foreign_keys[0].validated = false;
        })
    };
    insta::assert_snapshot!(asked(shop()), @"key:public.customers.customers_merchant_id_fkey: The foreign key customers_merchant_id_fkey of public.customers to public.merchants is NOT VALID: rows from before may lead nowhere, or to another tenant's. `keep`: that is accepted. Otherwise run ALTER TABLE public.customers VALIDATE CONSTRAINT customers_merchant_id_fkey, and plan again.");
}

#[test]
fn a_view_of_statistics_that_asks_nobody_is_refused_with_what_mends_it() {
    let withheld = Withheld {
        object: "pg_catalog.pg_stats_ext_exprs".to_owned(),
        routine: false,
        privileges: "SELECT".to_owned(),
        grantee: None,
    };
    let around = Around { withheld: vec![withheld], ..Around::default() };
    let survey = Survey { tenants: 3, around, ..Survey::default() };
    let config = Config { accept_defaults: true, ..existing("merchants") };
    let planned = plan(&shop().catalog(), &survey, &config);
    let refusal = planned.err().map(|refusal| refusal.to_string()).unwrap_or_default();
    assert!(
        refusal.contains("run REVOKE SELECT ON pg_catalog.pg_stats_ext_exprs FROM PUBLIC, or"),
        "{refusal}"
    );
}

#[test]
fn what_only_superusers_set_is_for_nobody_else() {
    let refusal = |parameter: &str, privilege: &str, grantee: Option<&str>| {
        let (parameter, privilege) = (parameter.to_owned(), privilege.to_owned());
        let grant = ParameterGrant { parameter, privilege, grantee: grantee.map(ident) };
        let around = Around { parameters: vec![grant], ..Around::default() };
        let survey = Survey { tenants: 3, around, ..Survey::default() };
        let config = Config { accept_defaults: true, ..existing("merchants") };
        let planned = plan(&shop().catalog(), &survey, &config);
        planned.err().map(|refusal| refusal.to_string()).unwrap_or_default()
    };
    insta::assert_snapshot!(refusal("work_mem", "ALTER SYSTEM", None), @"PUBLIC has ALTER SYSTEM on the parameter work_mem, which is for superusers to set; run REVOKE ALTER SYSTEM ON PARAMETER work_mem FROM PUBLIC");
    insta::assert_snapshot!(refusal("lo_compat_privileges", "SET", Some("bastide_app")), @"bastide_app has SET on the parameter lo_compat_privileges, which is for superusers to set; run REVOKE SET ON PARAMETER lo_compat_privileges FROM bastide_app");
    assert_eq!(refusal("log_statement", "SET", Some("bastide_app")), "");
}

#[test]
fn a_seal_that_the_server_does_not_keep_is_asked_about() {
    let on = |version, sealed| {
        asked(shop().change(|catalog| {
            (catalog.server.version, catalog.server.sealed_context) = (version, sealed);
        }))
    };
    insta::assert_snapshot!(on(150_018, true), @"seal:server: PostgreSQL 15.18 shows hidden rows to SQL written for it, by CVE-2026-116327 and CVE-2026-120154, whether the tenant context is sealed or not. `accept`: nobody but the application writes SQL here until the server is updated. Otherwise update it to 15.20 or later, and plan again.");
    assert_eq!([on(150_018, false), on(150_020, true)], ["", ""]);
}
