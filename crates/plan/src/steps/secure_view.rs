//! A view that reads with the rights, and under the policies, of whoever asks.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, Literal, QualifiedName, join, sql};
use serde::{Deserialize, Serialize};

use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecureView {
    pub view: QualifiedName,
    /// The option's value before, when it was set at all.
    pub previous: Option<String>,
    /// All options before, in order, as `pg_class.reloptions` has them.
    pub options: Vec<String>,
}

impl SecureView {
    pub(super) fn subject(&self) -> String {
        self.view.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("make view {} read as whoever asks", self.view)
    }

    /// No LOCK TABLE up front: on a view it would lock every table the view reads.
    pub(super) fn forward(&self) -> Script {
        Script::unlocked(vec![sql!("ALTER VIEW {} SET (security_invoker = true)", self.view)])
    }

    /// Options keep the order they were set in, and `pg_dump` prints it; where the option was there already, the whole
    /// list is set again.
    pub(super) fn inverse(&self) -> Script {
        let mut options: Vec<(&str, &str)> =
            self.options.iter().filter_map(|option| option.split_once('=')).collect();
        let Some(previous) = &self.previous else {
            return Script::unlocked(vec![sql!("ALTER VIEW {} RESET (security_invoker)", self.view)]);
        };
        if options.is_empty() {
            options.push(("security_invoker", previous));
        }
        let names = options.iter().map(|(name, _)| Ident::derived(name, ""));
        let settings =
            options.iter().map(|(name, value)| sql!("{} = {}", Ident::derived(name, ""), Literal::text(*value)));
        let statements = vec![
            sql!("ALTER VIEW {} RESET ({})", self.view, join(names, ", ")),
            sql!("ALTER VIEW {} SET ({})", self.view, join(settings, ", ")),
        ];
        Script::unlocked(statements)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        if let Some(view) = catalog.views.get_mut(&self.view) {
            view.security_invoker = true;
            view.options.retain(|option| !option.starts_with("security_invoker="));
            view.options.push("security_invoker=true".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, name, show},
    };

    fn step(view: &str, previous: Option<&str>, options: &[&str]) -> Step {
        Step::SecureView(SecureView {
            view: name(view),
            previous: previous.map(ToOwned::to_owned),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        })
    }

    #[test]
    fn scripts() {
        let plain = step("public.open_orders", None, &[]);
        insta::assert_snapshot!(plain.id(), @"secure_view:public.open_orders");
        insta::assert_snapshot!(plain.describe(), @"make view public.open_orders read as whoever asks");
        insta::assert_snapshot!(show(&plain.forward()), @r#"
        -- Transaction
        ALTER VIEW "public"."open_orders" SET (security_invoker = true);
        "#);
        insta::assert_snapshot!(show(&plain.inverse()), @r#"
        -- Transaction
        ALTER VIEW "public"."open_orders" RESET (security_invoker);
        "#);
        let set =
            step("public.open_orders", Some("false"), &["security_invoker=false", "security_barrier=true"]);
        insta::assert_snapshot!(show(&set.inverse()), @r#"
        -- Transaction
        ALTER VIEW "public"."open_orders" RESET ("security_invoker", "security_barrier");
        ALTER VIEW "public"."open_orders" SET ("security_invoker" = 'false', "security_barrier" = 'true');
        "#);
    }

    #[tokio::test]
    async fn options_come_back_in_their_order() {
        let schema = "CREATE TABLE orders (id int); CREATE VIEW plain AS SELECT * FROM orders;
             CREATE VIEW barred WITH (security_barrier) AS SELECT * FROM orders;
             CREATE VIEW mixed WITH (security_invoker = false, security_barrier = on, check_option = 'local') AS SELECT id FROM orders WHERE id > 0";
        let mut trial = Trial::of("integer", schema).await;
        for view in ["public.plain", "public.barred", "public.mixed"] {
            let options = trial.catalog().await.views[&name(view)].options.clone();
            let previous = options.iter().find_map(|option| option.strip_prefix("security_invoker="));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            trial.round(&step(view, previous, &options)).await;
        }
    }
}
