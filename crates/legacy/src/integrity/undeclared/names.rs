//! Whether a column's name speaks of a table: the weakest of hints, asked for only where the values alone say too little.

use bastide_sql::Ident;

/// What people add to a table's name to say that it is referenced.
const SUFFIXES: [&str; 14] =
    ["id", "key", "code", "uuid", "guid", "no", "nr", "num", "number", "ref", "fk", "pk", "slug", "name"];

/// `customer_id`, `CustomerID`, `billing_customer`, `customers_uuid` for a table `Customers`; the key's own name where that is
/// more than `id`; and `parent_…` inside one table.
pub(crate) fn speaks_of(column: &Ident, table: &Ident, key: &Ident, same_table: bool) -> bool {
    let (column, table, key) = (words(column), words(table), words(key));
    if same_table {
        return column.iter().any(|word| word == "parent");
    }
    let generic = key.iter().all(|word| SUFFIXES.contains(&word.as_str()));
    if !generic && column == key {
        return true;
    }
    let ends_with_table = |stem: &[String]| {
        let (stem, table) = (singular(stem), singular(&table));
        stem.ends_with(&table) || stem.concat() == table.concat()
    };
    if ends_with_table(&column) {
        return true;
    }
    let Some((last, stem)) = column.split_last() else { return false };
    if SUFFIXES.contains(&last.as_str()) {
        return !stem.is_empty() && ends_with_table(stem);
    }
    // Written in one: `customerid`.
    SUFFIXES.iter().any(|suffix| {
        last.strip_suffix(suffix).filter(|rest| !rest.is_empty()).is_some_and(|rest| {
            let mut stem = stem.to_vec();
            stem.push(rest.to_owned());
            ends_with_table(&stem)
        })
    })
}

/// Lower-case words of `order_items`, `OrderItems`, `orderItems`, `ORDER_ITEMS`, `Order Items`.
pub(crate) fn words(name: &Ident) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in name.as_str().chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && after_lower);
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase() || c.is_numeric();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The last word without its plural.
fn singular(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    if let Some(last) = words.last_mut() {
        let short = last.strip_suffix("ies").map(|stem| format!("{stem}y")).or_else(|| {
            let es = ["sses", "shes", "ches", "xes"].iter().any(|end| last.ends_with(end));
            let cut = if es { 2 } else { usize::from(last.ends_with('s') && !last.ends_with("ss")) };
            last.get(..last.len() - cut).map(str::to_owned)
        });
        if let Some(short) = short.filter(|short| !short.is_empty()) {
            *last = short;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaks(column: &str, table: &str, key: &str) -> bool {
        let ident = |name: &str| Ident::new(name).unwrap();
        speaks_of(&ident(column), &ident(table), &ident(key), false)
    }

    #[test]
    fn names_that_speak_of_a_table() {
        for (column, table, key) in [
            ("customer_id", "customers", "id"),
            ("CustomerID", "Customer", "Id"),
            ("customerid", "customer", "id"),
            ("billing_address_id", "addresses", "id"),
            ("category", "categories", "id"),
            ("orderItemNo", "order_items", "id"),
            ("merchant_code", "shops", "merchant_code"),
            ("class_id", "classes", "id"),
        ] {
            assert!(speaks(column, table, key), "{column} → {table}.{key}");
        }
    }

    #[test]
    fn names_that_do_not() {
        for (column, table, key) in [
            ("id", "customers", "id"),
            ("code", "customers", "code"),
            ("quantity", "customers", "id"),
            ("customer_id", "orders", "id"),
            ("paid", "payments", "id"),
            ("_", "customers", "id"),
            ("名前", "customers", "id"),
        ] {
            assert!(!speaks(column, table, key), "{column} → {table}.{key}");
        }
        let ident = |name: &'static str| Ident::constant(name);
        assert!(speaks_of(&ident("parent_id"), &ident("category"), &ident("id"), true));
        assert!(!speaks_of(&ident("category_id"), &ident("category"), &ident("id"), true));
    }
}
