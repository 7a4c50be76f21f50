//! What is written reads back, and what was tampered with, outlived or misspelt is named.

use bastide_catalog::Catalog;

use super::{FileError, read_plan, write_plan};
use crate::{
    Config, Plan, Survey, Usage,
    fixture::{existing, foreign_key, ident, name, new, shop},
    plan,
};

fn survey(used: u64) -> Survey {
    let usage = Usage { rows: 1000, by_one: used, by_many: 0 };
    Survey { tenants: 3, usage: [(name("products"), usage)].into(), ..Survey::default() }
}

fn derived(catalog: &Catalog, config: &Config) -> Plan {
    plan(catalog, &survey(3), config).unwrap()
}

/// A plan with one open question.
fn open() -> (Catalog, Plan) {
    let catalog = shop().catalog();
    let plan = derived(&catalog, &existing("merchants"));
    (catalog, plan)
}

fn error(text: &str) -> String {
    read_plan(text).unwrap_err().to_string()
}

#[test]
fn the_file_is_for_people() {
    let (_, plan) = open();
    let text = write_plan(&plan);
    let first: Vec<&str> = text.lines().take_while(|line| !line.starts_with("[config]")).collect();
    insta::assert_snapshot!(first.join("\n"), @r#"
    # Bastide's plan for the database shop. Nothing has been changed yet.
    #
    # What to do next:
    #   1. 1 question is open: write one of its `choices` into each `answer = ""` below.
    #   2. Run `bastide rls plan -o FILE` again: it keeps the answers, and the steps follow from them.
    #   3. Read the tables and the steps, then run `bastide rls migrate --plan FILE`.
    #
    # Only answers are meant to be edited. The file holds no SQL: the plan is derived again before it runs, and must
    # be the one that stands here, for the schema it was made for.
    #
    # Note: public.orders references public.products by orders_product_id_fkey, which is closed: the application can tell whether a key is there.

    format = 1
    bastide = "0.1.0"

    [[question]]
    id = "class:public.products"
    text = "Whose are the rows of public.products? (only 3 of its rows are used by rows that have a tenant, too few to tell.) `shared`: reference data, every tenant may read all of it. `closed`: out of the application's reach. `scoped`: each row belongs to the tenant whose rows reference it."
    choices = ["shared", "closed", "scoped"]
    default = "closed"
    answer = ""

    [database]
    name = "shop"
    system_identifier = "1"
    oid = 5
    server_version = 150018
    "#);
    let step: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("[[step]]")).take(5).collect();
    insta::assert_snapshot!(step.join("\n"), @r#"
    [[step]]
    id = "create_context:bastide"
    phase = "assignment"
    text = "create the tenant context, for tenants known by uuid"
    "#);
}

#[test]
fn what_is_written_reads_back_and_passes() {
    let strange = shop().table("a\\b", &["id int pk", "order_id bigint -> orders"]).catalog();
    for config in
        [existing("merchants"), new("companies"), Config { accept_defaults: true, ..existing("merchants") }]
    {
        let mut config = config;
        config.exclude_tables.insert("public.\"a\\b\"".parse().unwrap());
        config.exclude_schemas.insert(ident("odd\n\"schema\""));
        let plan = derived(&strange, &config);
        let file = read_plan(&write_plan(&plan)).unwrap();
        assert_eq!(file.database, plan.database);
        assert_eq!(file.fingerprint, plan.fingerprint);
        assert_eq!(Config { answers: config.answers.clone(), ..file.config.clone() }, config);
        file.check(&derived(&strange, &file.config)).unwrap();
    }
}

#[test]
fn a_second_plan_keeps_the_answers() {
    let (catalog, plan) = open();
    let answered = write_plan(&plan).replace("answer = \"\"", "answer = \"scoped\"");
    let file = read_plan(&answered).unwrap();
    assert_eq!(file.config.answers["class:public.products"], "scoped");
    let again = derived(&catalog, &file.config);
    assert_eq!(again.open().count(), 0);
    // The steps still are those from before the answer.
    insta::assert_snapshot!(file.check(&again).unwrap_err().to_string(), @"the steps in the file are not those its answers lead to (23 are not in it, for example add_tenant_column:public.products.tenant_id); run `bastide rls plan -o FILE` again and review it");
    let rewritten = read_plan(&write_plan(&again)).unwrap();
    assert_eq!(rewritten.config.answers, file.config.answers);
    rewritten.check(&again).unwrap();
}

#[test]
fn another_database_and_a_changed_schema_are_named() {
    let (_, plan) = open();
    let file = read_plan(&write_plan(&plan)).unwrap();
    let other = shop().change(|catalog| catalog.server.database_oid = 6).catalog();
    insta::assert_snapshot!(file.check(&derived(&other, &file.config)).unwrap_err().to_string(), @"the plan was made for the database shop (of the server 1, with the OID 5), this is shop (of the server 1, with the OID 6); plan for this one with `bastide rls plan -o FILE`");
    let changed = shop()
        .with(|table| table.foreign_keys.push(foreign_key("again", &["id"], "customers", &["id"])))
        .table("later", &["id int pk"])
        .catalog();
    insta::assert_snapshot!(file.check(&derived(&changed, &file.config)).unwrap_err().to_string(), @"the plan is stale, the schema has changed since: table public.later is new; table public.orders changed (foreign keys); review it again with `bastide rls plan -o FILE`");
}

#[test]
fn mistakes_are_named_by_their_line() {
    let (catalog, plan) = open();
    let text = write_plan(&plan);
    insta::assert_snapshot!(error(&text.replace("answer = \"\"", "answer = \"sharde\"")), @"line 21: answer of class:public.products: `sharde` is none of its choices; write shared, closed or scoped");
    insta::assert_snapshot!(error(&text.replace("answer = \"\"", "answr = \"shared\"")), @"line 21: unknown field `answr`, expected one of `id`, `text`, `choices`, `default`, `answer`");
    insta::assert_snapshot!(error(&text.replace("format = 1", "format = 2")), @"the plan has format 2, this Bastide reads up to 1; use the version that wrote it, or plan again with `bastide rls plan -o FILE`");
    insta::assert_snapshot!(error("this is no plan"), @"line 1: key with no value, expected `=`");
    insta::assert_snapshot!(error(&text.replace("tenant_root = \"public.merchants\"", "tenant_root = \"merchants\"")), @"line 30: `merchants` does not name a schema; write it as `schema.name`, for example `public.merchants`");
    insta::assert_snapshot!(error(&text.replace("\ntenant_root", "\nnew_tenant_root = \"public.x\"\ntenant_root")), @"line 29: [config] takes exactly one of tenant_root and new_tenant_root");

    insta::assert_snapshot!(error(&text.replace("\n[end]\ntables = 4", "\n[end]\ntables = 5")), @"line 332: the file was written with 5 tables and 50 steps, and has 4 and 50; write it again with `bastide rls plan -o FILE`");
    let twice = text.replacen("name = \"public.orders\"", "name = \"public.merchants\"", 1);
    insta::assert_snapshot!(error(&twice), @"line 61: the table public.merchants is decided twice, in line 54 and here; leave one of them");

    let renamed = text
        .replace("class:public.products", "class:public.product")
        .replace("answer = \"\"", "answer = \"shared\"");
    let file = read_plan(&renamed).unwrap();
    let again = derived(&catalog, &file.config);
    assert!(matches!(file.check(&again), Err(FileError::UnknownQuestion { .. })));
}

/// The tables are there to be read; who edits them believes that it does something.
#[test]
fn a_table_that_was_edited_is_named() {
    let (catalog, plan) = open();
    let text = write_plan(&plan);
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from), "{from:?} is missing in: {text}");
        let file = read_plan(&text.replacen(from, to, 1)).unwrap();
        let again = derived(&catalog, &file.config);
        file.check(&again).unwrap_err().to_string()
    };
    insta::assert_snapshot!(edited("name = \"public.orders\"\nclass = \"scoped\"", "name = \"public.orders\"\nclass = \"shared\""), @"line 61: public.orders is shared by tenant_id (added) in the file, and scoped by tenant_id (added) by its answers and [config]: a table is decided by the answer to its question, or by --exclude-table, not here; put the line back, and plan again");
    insta::assert_snapshot!(edited("name = \"public.orders\"", "name = \"public.ordres\""), @"line 61: there is no table public.ordres in this database; run `bastide rls plan -o FILE` again");
    insta::assert_snapshot!(edited("tenant_column = \"tenant_id\"", "tenant_column = \"tennant_id\""), @"line 61: public.orders is scoped by tennant_id (added) in the file, and scoped by tenant_id (added) by its answers and [config]: a table is decided by the answer to its question, or by --exclude-table, not here; put the line back, and plan again");
    // The first two steps change places.
    let steps: Vec<&str> = text.split("\n[[step]]\n").collect();
    let swapped = text.replacen(
        &[steps[1], "[[step]]", steps[2]].join("\n"),
        &[steps[2], "[[step]]", steps[1]].join("\n"),
        1,
    );
    let file = read_plan(&swapped).unwrap();
    insta::assert_snapshot!(file.check(&derived(&catalog, &file.config)).unwrap_err().to_string(), @"the steps in the file are not those its answers lead to, or stand in another order; run `bastide rls plan -o FILE` again and review it");
}

#[test]
fn a_file_that_was_cut_short_is_never_read_as_a_whole_one() {
    let (_, plan) = open();
    let text = write_plan(&plan);
    let whole = read_plan(&text).unwrap();
    for (end, _) in text.char_indices().step_by(3) {
        match read_plan(&text[..end]) {
            Err(FileError::CutShort { .. }) => assert!(text[..end].contains("\nbastide = ")),
            // Before there is anything to know it by, or in the very last lines.
            Err(_) => assert!(!text[..end].contains("[database]") || text[..end].contains("\n[end]")),
            Ok(read) => {
                assert!(read == whole && text[end..].trim().is_empty(), "cut off: {:?}", &text[end..])
            }
        }
    }
    insta::assert_snapshot!(error(&text[..text.len() / 2]), @"the plan ends in line 180, before its [end]: it was cut short; write it again with `bastide rls plan -o FILE`");
}
