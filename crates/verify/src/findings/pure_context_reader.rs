//! The planner folds an IMMUTABLE call into a constant: a cached plan then answers with the tenant it was made for.

use bastide_catalog::Volatility;
use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-034",
    title: "a function that reads the context is declared IMMUTABLE",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let readers = posture.catalog.functions.iter().filter(|function| {
        function.volatility == Volatility::Immutable
            && posture.context_readers.contains(&(function.name.clone(), function.arguments.clone()))
    });
    readers
        .map(|function| {
            let object = format!("{}({})", function.name, function.arguments);
            let message = "reads the tenant context but is IMMUTABLE, so plans keep the answer of another tenant";
            let mend = sql!("ALTER ROUTINE {}({}) STABLE", function.name, function.arguments);
            Weakness::new(Severity::Critical, object, message, mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::Volatility;
    use bastide_sql::Sql;

    use crate::{Posture, findings::found, posture::fixture};

    fn reader(posture: &mut Posture, volatility: Volatility) {
        posture.catalog.functions[0].volatility = volatility;
        posture.context_readers.insert((fixture::public("slugify"), Sql::trusted("who text")));
    }

    #[test]
    fn an_immutable_reader_is_found() {
        let bad = found(&CHECK, |posture| reader(posture, Volatility::Immutable));
        assert_eq!(bad[0].mend, r#"ALTER ROUTINE "public"."slugify"(who text) STABLE;"#);
    }

    #[test]
    fn a_stable_reader_and_an_immutable_stranger_are_silent() {
        assert_eq!(found(&CHECK, |posture| reader(posture, Volatility::Stable)), []);
        let stranger = |posture: &mut Posture| posture.catalog.functions[0].volatility = Volatility::Immutable;
        assert_eq!(found(&CHECK, stranger), []);
    }
}
