//! Keys that go on over all tenants because no tenant-wide one can take their place. What they leave possible would fail the
//! verification at the end of cutover, so each is a question from the start, and one that only the operator can answer.

use bastide_catalog::ForeignKey;
use bastide_sql::{Ident, QualifiedName};

use super::Planning;
use crate::{Question, Refusal, classify::answer};

/// The operator accepts what the key leaves possible. Verification looks for this very answer.
const KEEP: &str = "keep";

/// A unique key, a unique index or an exclusion constraint.
pub(super) fn ask_unique(
    planning: &mut Planning<'_>,
    table: &QualifiedName,
    key: &Ident,
    why: &str,
    mend: &str,
) -> Result<(), Refusal> {
    let text = format!(
        "The unique key {key} of {table} cannot be made tenant-wide: {why}. As it stays, whoever writes to {table} can \
         find out whether any other tenant has a value, because a clash with it is refused. `{KEEP}`: that is accepted. \
         Otherwise {mend}, and plan again."
    );
    ask(planning, table, key, text)
}

/// A foreign key to a tenant that is not the row's own.
pub(super) fn ask_foreign_key(
    planning: &mut Planning<'_>,
    table: &QualifiedName,
    key: &ForeignKey,
) -> Result<(), Refusal> {
    let (name, references) = (&key.name, &key.references);
    let text = format!(
        "The foreign key {name} of {table} cannot be made tenant-wide: it references {references} by a column that is not \
         the tenant column, so that a row of one tenant may name another. No constraint stops such a crossing, and what is \
         refused tells which keys exist. `{KEEP}`: that is accepted. Otherwise drop the foreign key, and plan again."
    );
    ask(planning, table, name, text)
}

/// A foreign key that keeps tenants apart, and that nobody ever held the rows of before to.
pub(super) fn ask_not_valid(
    planning: &mut Planning<'_>,
    table: &QualifiedName,
    key: &ForeignKey,
) -> Result<(), Refusal> {
    let (name, references) = (&key.name, &key.references);
    let text = format!(
        "The foreign key {name} of {table} to {references} is NOT VALID: rows from before may lead nowhere, or to another tenant's. \
         `{KEEP}`: that is accepted. Otherwise run ALTER TABLE {table} VALIDATE CONSTRAINT {name}, and plan again."
    );
    ask(planning, table, name, text)
}

fn ask(planning: &mut Planning<'_>, table: &QualifiedName, key: &Ident, text: String) -> Result<(), Refusal> {
    let id = format!("key:{table}.{key}");
    // An index and a foreign key may have one name; one answer then accepts both.
    if let Some(asked) = planning.questions.iter_mut().find(|question| question.id == id) {
        if !asked.text.contains(&text) {
            asked.text = format!("{} {text}", asked.text);
        }
        return Ok(());
    }
    let mut question = Question { id, text, choices: vec![KEEP.to_owned()], default: None, answer: None };
    question.answer = answer(planning.config, &question)?;
    planning.questions.push(question);
    Ok(())
}

#[cfg(test)]
mod tests {
    use bastide_catalog::{Index, Key, KeyKind};
    use bastide_sql::{Ident, Sql};

    use crate::{
        Config, Plan, Survey, Usage,
        fixture::{Fixture, existing, ident, name, new, shop},
        plan,
    };

    fn planned(fixture: Fixture, config: &Config) -> Plan {
        let usage = Usage { rows: 1000, by_one: 10, by_many: 900 };
        let survey = Survey { tenants: 3, usage: [(name("products"), usage)].into(), ..Survey::default() };
        let mut plan = plan(&fixture.catalog(), &survey, config).unwrap();
        // Whose products are is asked elsewhere.
        plan.questions.retain(|question| question.id != "class:public.products");
        plan
    }

    fn key(column: &str, definition: &str) -> Key {
        Key {
            name: ident(&format!("{column}_key")),
            kind: KeyKind::Unique,
            columns: vec![ident(column)],
            deferrable: definition.ends_with(" DEFERRABLE"),
            definition: Sql::trusted(definition),
        }
    }

    fn index(name: &str, columns: &[Option<&str>], definition: &str) -> Index {
        Index {
            name: ident(name),
            unique: !definition.starts_with("EXCLUDE"),
            valid: true,
            columns: columns.iter().map(|column| column.map(ident)).collect(),
            partial: definition.contains(" WHERE "),
            exclusion: definition.starts_with("EXCLUDE"),
            definition: Sql::trusted(definition),
        }
    }

    /// Every kind of key that stays global, and beside each one that looks like it and does not tell anything.
    fn telling() -> Fixture {
        shop()
            .table(
                "codes",
                &[
                    "id bigint pk",
                    "order_id bigint -> orders",
                    "a text",
                    "b text",
                    "c text",
                    "d text",
                    "e text",
                ],
            )
            .with(|table| {
                table.keys.extend([
                    key("a", "UNIQUE (a) DEFERRABLE"),
                    key("b", "UNIQUE NULLS NOT DISTINCT (b)"),
                    key("c", "CREATE UNIQUE INDEX c_key ON codes USING btree (c COLLATE \"de-x-icu\")"),
                    key("d", "UNIQUE (d)"),
                    key("e", "UNIQUE (e)"),
                ]);
                let partial =
                    "CREATE UNIQUE INDEX open_key ON public.codes USING btree (e) WHERE (d IS NULL)";
                let lower = "CREATE UNIQUE INDEX lower_key ON public.codes USING btree (lower(e))";
                table.indexes = vec![
                    index("open_key", &[Some("e")], partial),
                    index("lower_key", &[None], lower),
                    index("apart", &[Some("e")], "EXCLUDE USING gist (e WITH &&)"),
                    index(
                        "with_primary",
                        &[Some("id"), None],
                        "CREATE UNIQUE INDEX with_primary ON public.codes USING btree (id, lower(e))",
                    ),
                ];
            })
            .table("audit", &["code text -> codes.d"])
            .table("transfers", &["id int pk", "giver uuid -> merchants", "taker uuid -> merchants"])
    }

    fn root() -> Config {
        let mut config = existing("merchants");
        config.exclude_tables.insert(name("audit"));
        config
    }

    #[test]
    fn each_key_that_stays_global_is_asked_about() {
        let plan = planned(telling(), &root());
        let asked: Vec<String> = plan.open().map(|q| format!("{}: {}", q.id, q.text)).collect();
        insta::assert_snapshot!(asked.join("\n"), @r"
        key:public.transfers.transfers_giver_fkey: The foreign key transfers_giver_fkey of public.transfers cannot be made tenant-wide: it references public.merchants by a column that is not the tenant column, so that a row of one tenant may name another. No constraint stops such a crossing, and what is refused tells which keys exist. `keep`: that is accepted. Otherwise drop the foreign key, and plan again.
        key:public.transfers.transfers_taker_fkey: The foreign key transfers_taker_fkey of public.transfers cannot be made tenant-wide: it references public.merchants by a column that is not the tenant column, so that a row of one tenant may name another. No constraint stops such a crossing, and what is refused tells which keys exist. `keep`: that is accepted. Otherwise drop the foreign key, and plan again.
        key:public.codes.a_key: The unique key a_key of public.codes cannot be made tenant-wide: it is deferrable, which an index cannot be. As it stays, whoever writes to public.codes can find out whether any other tenant has a value, because a clash with it is refused. `keep`: that is accepted. Otherwise recreate it NOT DEFERRABLE, and plan again.
        key:public.codes.b_key: The unique key b_key of public.codes cannot be made tenant-wide: it is NULLS NOT DISTINCT. As it stays, whoever writes to public.codes can find out whether any other tenant has a value, because a clash with it is refused. `keep`: that is accepted. Otherwise recreate it without NULLS NOT DISTINCT, and plan again.
        key:public.codes.c_key: The unique key c_key of public.codes cannot be made tenant-wide: it compares by a collation of its own. As it stays, whoever writes to public.codes can find out whether any other tenant has a value, because a clash with it is refused. `keep`: that is accepted. Otherwise give the column that collation, and recreate the key without, and plan again.
        key:public.codes.d_key: The unique key d_key of public.codes cannot be made tenant-wide: a foreign key that stays as it is points at it. As it stays, whoever writes to public.codes can find out whether any other tenant has a value, because a clash with it is refused. `keep`: that is accepted. Otherwise drop the foreign key audit_code_fkey of public.audit, and plan again.
        key:public.codes.open_key: The unique key open_key of public.codes cannot be made tenant-wide: it is partial. As it stays, whoever writes to public.codes can find out whether any other tenant has a value, because a clash with it is refused. `keep`: that is accepted. Otherwise recreate it over the whole table, or drop it, and plan again.
        key:public.codes.lower_key: The unique key lower_key of public.codes cannot be made tenant-wide: it is on an expression. As it stays, whoever writes to public.codes can find out whether any other tenant has a value, because a clash with it is refused. `keep`: that is accepted. Otherwise recreate it on columns, a generated one for example, or drop it, and plan again.
        key:public.codes.apart: The unique key apart of public.codes cannot be made tenant-wide: it is an exclusion constraint. As it stays, whoever writes to public.codes can find out whether any other tenant has a value, because a clash with it is refused. `keep`: that is accepted. Otherwise drop it, and plan again.
        ");
        assert!(
            plan.questions.iter().all(|question| question.choices == ["keep"] && question.default.is_none())
        );
    }

    #[test]
    fn only_the_operator_accepts_one() {
        let defaults = planned(telling(), &Config { accept_defaults: true, ..root() });
        assert_eq!(defaults.open().count(), defaults.questions.len());
        let answers =
            defaults.questions.iter().map(|question| (question.id.clone(), "keep".to_owned())).collect();
        let accepted = planned(telling(), &Config { answers, ..root() });
        assert_eq!(accepted.open().count(), 0);
        assert_eq!(accepted.steps, defaults.steps);
        let answers = [("key:public.codes.a_key".to_owned(), "drop".to_owned())].into();
        let config = Config { answers, ..root() };
        let error = plan(&telling().catalog(), &Survey::default(), &config);
        // Whatever else the survey leaves open, the answer is none.
        assert!(error.is_err_and(|error| error.to_string().contains("key:public.codes.a_key")));
    }

    #[test]
    fn one_name_is_one_question() {
        let fixture = telling().with(|table| {
            table.columns.push(bastide_catalog::Column { name: ident("code"), ..table.columns[0].clone() });
            let mut unique = key("code", "UNIQUE (code) DEFERRABLE");
            unique.name = Ident::constant("transfers_giver_fkey");
            table.keys.push(unique);
        });
        let plan = planned(fixture, &root());
        let same: Vec<_> = plan
            .open()
            .filter(|question| question.id == "key:public.transfers.transfers_giver_fkey")
            .collect();
        assert_eq!(same.len(), 1);
        assert!(
            same[0].text.contains("foreign key") && same[0].text.contains("deferrable"),
            "{}",
            same[0].text
        );
    }

    #[test]
    fn copies_of_a_partitioned_tables_keys_are_not_asked_about_again() {
        let fixture = shop()
            .table("events", &["id bigint pk", "at date pk", "order_id bigint -> orders", "token text"])
            .with(|table| {
                table.kind = bastide_catalog::TableKind::Partitioned;
                let definition = "CREATE UNIQUE INDEX once ON ONLY public.events USING btree (at, token) WHERE (token <> ''::text)";
                table.indexes.push(index("once", &[Some("at"), Some("token")], definition));
            })
            .child("events_2025", "events")
            .with(|table| {
                let definition = "CREATE UNIQUE INDEX events_2025_at_token_idx ON public.events_2025 USING btree (at, token) WHERE (token <> ''::text)";
                table.indexes = vec![
                    index("events_2025_at_token_idx", &[Some("at"), Some("token")], definition),
                    index("its_own", &[None], "CREATE UNIQUE INDEX its_own ON public.events_2025 USING btree (lower(token))"),
                ];
            });
        let plan = planned(fixture, &existing("merchants"));
        let ids: Vec<&str> = plan.open().map(|question| question.id.as_str()).collect();
        assert_eq!(ids, ["key:public.events.once", "key:public.events_2025.its_own"]);
    }

    #[test]
    fn a_plain_shop_is_asked_nothing() {
        for config in [existing("merchants"), new("companies")] {
            assert_eq!(planned(shop(), &config).questions, []);
        }
    }
}
