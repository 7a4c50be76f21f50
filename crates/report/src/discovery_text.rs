//! A discovery for a terminal: the sums first, then each table on a line of its own.

use std::fmt::Write;

use bastide_plan::DeclaredReference;
use bastide_record::{
    CategoryOfTable, Count, Discovery, FoundClass, Integrity, Strength, TableFound, Tenants, Trust,
};
use bastide_sql::Ident;

use crate::{
    numbers,
    plan_text::open_questions,
    text::{aligned, plain},
};

/// The whole discovery.
#[must_use]
pub fn discovery(found: &Discovery) -> String {
    let mut out = aligned(&summary(found));
    section(&mut out, "tables that could be the tenant root", &other_roots(found));
    section(&mut out, "tables", &tables(found));
    section(&mut out, "learnt through", &evidence(found));
    section(&mut out, "links that join two tenants", &links(found));
    section(&mut out, "categories", &categories(found));
    integrity(&mut out, &found.integrity);
    let missed: Vec<Vec<Cell>> = found
        .links_not_counted
        .iter()
        .map(|missed| vec![Cell::left(&missed.object), Cell::left(&format!("not counted ({})", missed.why))])
        .collect();
    section(&mut out, "links not followed", &missed);
    if !found.questions.is_empty() {
        out.push_str("\na plan would ask\n\n");
        out.push_str(&open_questions(&found.questions));
    }
    out
}

fn summary(found: &Discovery) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut line = |label: &str, value: String| lines.push((label.to_owned(), value));
    let database = &found.database;
    line(
        "database",
        format!(
            "{} on PostgreSQL {}, read as {} in {}; nothing was changed",
            database.name,
            database.server_version / 10_000,
            database.login,
            numbers::seconds(found.seconds)
        ),
    );
    line("tenants", tenants(found));
    line("tables", classes(found));
    line("rows", rows(found));
    let (followed, crossing) = found
        .links
        .iter()
        .fold((0, 0), |(rows, crossing), link| (rows + link.rows, crossing + link.crossing));
    if !found.links.is_empty() {
        line(
            "links",
            format!(
                "{} of {} join two tenants",
                numbers::count(crossing),
                numbers::counted(followed, "reference", "references")
            ),
        );
    }
    for obstacle in &found.obstacles {
        line("obstacle", obstacle.replace('\n', "\n          "));
    }
    for note in &found.notes {
        line("note", note.clone());
    }
    lines
}

pub(crate) fn tenants(found: &Discovery) -> String {
    match (&found.root, found.tenants) {
        (Some(root), _) if root.new => format!("one: all there is ({} is still to be made)", root.table),
        (Some(root), Some(tenants)) => {
            format!(
                "{}, the rows of {} ({} {})",
                numbers::count(tenants),
                root.table,
                root.key,
                root.key_type
            )
        }
        (Some(root), None) => format!("the rows of {} ({} {})", root.table, root.key, root.key_type),
        (None, _) => "unknown: name their table with --tenant-root schema.table".to_owned(),
    }
}

fn other_roots(found: &Discovery) -> Vec<Vec<Cell>> {
    let Some(roots) = &found.other_roots else { return Vec::new() };
    if roots.measured.is_empty() && roots.unmeasured.is_empty() {
        let none = "none: no table with a key has others below it; `--new-tenant-root NAME` makes one";
        return vec![vec![Cell::left(none)]];
    }
    let mut lines = vec![vec![
        Cell::left("table"),
        Cell::left("boundary"),
        Cell::right("tenants"),
        Cell::right("with rows"),
        Cell::right("largest"),
        Cell::right("tables"),
        Cell::right("rows"),
        Cell::right("no tenant"),
        Cell::left("because"),
    ]];
    for root in &roots.measured {
        let number = |n| Cell::right(&numbers::count(n));
        lines.push(vec![
            Cell::left(&root.root.to_string()),
            Cell::left(if root.boundary { "yes" } else { "no" }),
            number(root.tenants),
            number(root.tenants_with_rows),
            Cell::right(&numbers::percent(root.largest_percent)),
            number(root.tables_scoped),
            number(root.rows_scoped),
            number(root.conflicting + root.unreachable),
            Cell::left(&root.because),
        ]);
    }
    for root in &roots.unmeasured {
        lines.push(vec![
            Cell::left(&root.root.to_string()),
            Cell::left("unknown"),
            Cell::left(&format!("not measured ({})", root.why)),
        ]);
    }
    lines
}

fn classes(found: &Discovery) -> String {
    let classes = [FoundClass::Scoped, FoundClass::Shared, FoundClass::Unclear, FoundClass::Excluded];
    let counted =
        classes.map(|class| (class, found.tables.iter().filter(|table| table.class == class).count()));
    let said: Vec<String> = counted
        .iter()
        .filter(|(class, tables)| *tables > 0 || *class != FoundClass::Excluded)
        .map(|(class, tables)| format!("{tables} {}", class.name()))
        .collect();
    if found.tables.is_empty() { "none: the database is empty".to_owned() } else { said.join(", ") }
}

/// Sums over the scoped tables.
pub(crate) fn sums(found: &Discovery) -> Tenants {
    let mut sum = Tenants::default();
    for tenants in found.tables.iter().filter_map(|table| table.tenants.as_ref()) {
        sum.had += tenants.had;
        sum.could_have += tenants.could_have;
        sum.conflicting += tenants.conflicting;
        sum.unreachable += tenants.unreachable;
    }
    sum
}

fn rows(found: &Discovery) -> String {
    if let Some(why) = &found.tenants_not_counted {
        return format!("tenants were not counted: {why}");
    }
    let sum = sums(found);
    format!(
        "{} have a tenant, {} could have one, {} conflict, {} nothing reaches",
        numbers::count(sum.had),
        numbers::count(sum.could_have),
        numbers::count(sum.conflicting),
        numbers::count(sum.unreachable)
    )
}

fn tables(found: &Discovery) -> Vec<Vec<Cell>> {
    if found.tables.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![vec![
        Cell::left("table"),
        Cell::left("class"),
        Cell::right("rows"),
        Cell::right("tenant"),
        Cell::right("could"),
        Cell::right("conflict"),
        Cell::right("unreached"),
        Cell::left("because"),
    ]];
    let mut tables: Vec<&TableFound> = found.tables.iter().collect();
    tables.sort_by_key(|table| table.class);
    for table in tables {
        let name = match table.partitions {
            0 => table.table.to_string(),
            partitions => {
                format!("{} ({})", table.table, numbers::counted(partitions, "partition", "partitions"))
            }
        };
        let known = |of: fn(&Tenants) -> u64| {
            Cell::right(
                &table.tenants.as_ref().map_or_else(String::new, |tenants| numbers::count(of(tenants))),
            )
        };
        lines.push(vec![
            Cell::left(&name),
            Cell::left(table.class.name()),
            Cell::right(&short(&table.rows, table.estimated_rows)),
            known(|tenants| tenants.had),
            known(|tenants| tenants.could_have),
            known(|tenants| tenants.conflicting),
            known(|tenants| tenants.unreachable),
            Cell::left(&because(table)),
        ]);
    }
    lines
}

/// Why the class is what it is; and why there is no number, where there is none.
fn because(table: &TableFound) -> String {
    match &table.rows {
        Count::Sampled { percent, .. } => {
            format!("{} (sampled {}, scaled estimate)", table.because, numbers::percent(*percent))
        }
        Count::NotCounted { why } if table.class != FoundClass::Excluded && !table.because.contains(why) => {
            format!("{} (not counted: {why})", table.because)
        }
        _ => table.because.clone(),
    }
}

/// `1,200`, `≈ 1,200`, or what the server believes, in brackets.
fn short(count: &Count, estimate: Option<u64>) -> String {
    match (count, estimate) {
        (Count::Exact { rows }, _) => numbers::count(*rows),
        (Count::Sampled { rows, .. }, _) => format!("≈ {}", numbers::count(*rows)),
        (Count::NotCounted { .. }, Some(rows)) => format!("(≈ {})", numbers::count(rows)),
        (Count::NotCounted { .. }, None) => "?".to_owned(),
    }
}

fn evidence(found: &Discovery) -> Vec<Vec<Cell>> {
    let tenants = found.tables.iter().filter_map(|table| table.tenants.as_ref());
    let evidence = tenants.flat_map(|tenants| &tenants.evidence).filter(|evidence| evidence.rows > 0);
    evidence
        .map(|evidence| vec![Cell::right(&numbers::count(evidence.rows)), Cell::left(&evidence.path)])
        .collect()
}

fn links(found: &Discovery) -> Vec<Vec<Cell>> {
    let crossing = found.links.iter().filter(|link| link.crossing > 0);
    crossing
        .map(|link| {
            let of = format!(
                "of {} from {} by {} to {}",
                numbers::count(link.rows),
                link.table,
                link.foreign_key,
                link.references
            );
            let example = format!("for example {}", link.samples.join("; "));
            vec![Cell::right(&numbers::count(link.crossing)), Cell::left(&of), Cell::left(&example)]
        })
        .collect()
}

fn categories(found: &Discovery) -> Vec<Vec<Cell>> {
    let mut lines = Vec::new();
    let (mut tables, mut silent) = (0, 0);
    for category in &found.categories {
        let mut name = category.name.as_str();
        for table in &category.tables {
            tables += 1;
            // Not finding any is an answer, too, to who asked.
            if !category.declared && !table.rows.may_be_some() {
                silent += 1;
                continue;
            }
            lines.push(category_line(name, table));
            name = "";
        }
    }
    if !lines.is_empty() {
        let head = ["category", "table", "rows", "no tenant", "because"];
        let head = head.iter().enumerate();
        let head =
            head.map(|(at, text)| if at == 2 || at == 3 { Cell::right(text) } else { Cell::left(text) });
        lines.insert(0, head.collect());
    }
    if silent > 0 {
        let text = format!("none in {silent} of {tables} places looked at");
        lines.push(vec![Cell::left(&text)]);
    }
    lines
}

fn category_line(name: &str, table: &CategoryOfTable) -> Vec<Cell> {
    let mut because = table.why.clone();
    match &table.rows {
        Count::Sampled { percent, .. } => {
            because.push_str(&format!(" (sampled {}, scaled estimate)", numbers::percent(*percent)));
        }
        Count::NotCounted { why } => because.push_str(&format!(" (not counted: {why})")),
        Count::Exact { .. } => {}
    }
    if !table.samples.is_empty() {
        because.push_str(&format!("; for example {}", table.samples.join("; ")));
    }
    let without = table.without_tenant.as_ref().map_or_else(String::new, |count| short(count, None));
    vec![
        Cell::left(name),
        Cell::left(&table.table.to_string()),
        Cell::right(&short(&table.rows, None)),
        Cell::right(&without),
        Cell::left(&because),
    ]
}

fn integrity(out: &mut String, found: &Integrity) {
    let line = |fields: &[&str], rest: &str| -> Vec<Cell> {
        fields.iter().copied().chain([rest]).map(Cell::left).collect()
    };
    let example = |samples: &[String]| match samples {
        [] => String::new(),
        some => format!("; for example {}", some.join("; ")),
    };
    let dangling: Vec<_> = found
        .dangling
        .iter()
        .map(|found| {
            let rest = format!(
                "{} of {} have no parent in {}{}{}",
                numbers::count(found.dangling),
                numbers::count(found.rows),
                found.references,
                found.extent.in_words(),
                example(&found.samples)
            );
            line(&[&found.table.to_string(), &found.foreign_key.to_string(), trust(found.trust)], &rest)
        })
        .collect();
    section(out, "references that are not kept", &dangling);
    let suggested: Vec<_> = found
        .suggested
        .iter()
        .map(|found| {
            let rest = format!(
                "{} of {} values are there; {}",
                numbers::count(found.contained),
                numbers::count(found.distinct),
                found.because
            );
            line(&[strength(found.strength), &reference(&found.reference)], &rest)
        })
        .collect();
    section(out, "references that nobody declared", &suggested);
    let duplicates: Vec<_> = found
        .duplicates
        .iter()
        .map(|found| {
            let rest = format!(
                "{} values twice in one tenant, {} in several, {} undecided{}{}",
                numbers::count(found.within_tenant),
                numbers::count(found.across_tenants),
                numbers::count(found.undecided),
                found.extent.in_words(),
                example(&found.samples)
            );
            line(&[&found.table.to_string(), &names(&found.columns)], &rest)
        })
        .collect();
    section(out, "values that look like keys and occur more than once", &duplicates);
    let slugs: Vec<_> = found
        .duplicate_slugs
        .iter()
        .map(|found| {
            let values: Vec<String> = found.samples.iter().map(|sample| sample.value.clone()).collect();
            let rest = format!(
                "{} share {}{}",
                numbers::counted(found.rows, "tenant", "tenants"),
                numbers::counted(found.groups, "value", "values"),
                example(&values)
            );
            line(&[&found.table.to_string(), &found.column.to_string()], &rest)
        })
        .collect();
    section(out, "tenants that cannot be told apart", &slugs);
    let unmeasured: Vec<_> = found
        .unmeasured
        .iter()
        .map(|found| line(&[], &format!("could not {} ({})", found.what, found.why)))
        .collect();
    section(out, "not measured", &unmeasured);
}

pub(crate) fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::NotValid => "not valid",
        Trust::TriggersDisabled => "triggers disabled",
        Trust::Enforced => "enforced",
    }
}

pub(crate) fn strength(strength: Strength) -> &'static str {
    match strength {
        Strength::Weak => "weak",
        Strength::Likely => "likely",
        Strength::Strong => "strong",
    }
}

/// `public.orders.shop → public.shops.code`
pub(crate) fn reference(reference: &DeclaredReference) -> String {
    format!(
        "{}.{} → {}.{}",
        reference.table,
        names(&reference.columns),
        reference.references,
        names(&reference.referenced_columns)
    )
}

pub(crate) fn names(columns: &[Ident]) -> String {
    match columns {
        [only] => only.to_string(),
        many => format!("({})", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// One field of a line.
struct Cell {
    text: String,
    right: bool,
}

impl Cell {
    fn left(text: &str) -> Self {
        Self { text: plain(text), right: false }
    }

    fn right(text: &str) -> Self {
        Self { text: plain(text), right: true }
    }
}

/// A heading, and lines whose fields stand under each other; nothing when there are none. A last field, and one that stands
/// alone, may be as long as it is.
fn section(out: &mut String, heading: &str, lines: &[Vec<Cell>]) {
    const WIDEST: usize = 60;
    if lines.is_empty() {
        return;
    }
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            let cells =
                lines.iter().filter(|line| at + 1 < line.len()).map(|line| line[at].text.chars().count());
            cells.max().unwrap_or(0).min(WIDEST)
        })
        .collect();
    out.push('\n');
    out.push_str(heading);
    out.push_str("\n\n");
    for line in lines {
        let mut text = String::from(" ");
        for (at, cell) in line.iter().enumerate() {
            let width = if at + 1 < line.len() { widths[at] } else { 0 };
            let field = if cell.right {
                format!(" {:>width$} ", cell.text)
            } else {
                format!(" {:<width$} ", cell.text)
            };
            text.push_str(&field);
        }
        writeln!(out, "{}", text.trim_end()).unwrap_or_else(|_| unreachable!("a String takes everything"));
    }
}

#[cfg(test)]
mod tests {
    use crate::sample;

    #[test]
    fn sums_first_then_every_table() {
        insta::assert_snapshot!(super::discovery(&sample::discovery()), @r#"
database  shop on PostgreSQL 15, read as reader in 3.2 s; nothing was changed
 tenants  2, the rows of public.shops (id uuid)
  tables  1 scoped, 1 shared, 1 unclear
    rows  790 have a tenant, 1,200 could have one, 4 conflict, 6 nothing reaches
   links  3 of 1,900 references join two tenants
obstacle  public.shops is not a tenant boundary
    note  public.daily is not granted

tables that could be the tenant root

  table                               boundary  tenants  with rows  largest  tables   rows  no tenant  because
  public.customers                    yes            59         58   12.5 %       2  2,652          7  no reference crosses; 3 more tables have to be asked about
  public.branches                     no             59         58   12.5 %       2  2,652          7  810 of 2,000 rows of public.orders cross by orders_friend_fkey
  public."<script>alert(1)</script>"  unknown   not measured (no time was left)

tables

  table                               class             rows  tenant  could  conflict  unreached  because
  public.orders (2 partitions)        scoped           2,000     790  1,200         4          6  references public.shops through orders.shop_id
  public.countries                    shared     ≈ 8,400,000                                      used by several tenants: 3 of 3 used rows (sampled 2.4 %, scaled estimate)
  public."<script>alert(1)</script>"  unclear  (≈ 8,000,000)                                      nothing says whose its rows are (not counted: stopped after 300 s)

learnt through

  1,200  public.orders.customer_id → public.customers

links that join two tenants

  3  of 1,900 from public.orders by orders_customer_fkey to public.customers  for example 17; 23

categories

  category  table                                  rows  no tenant  because
  closed    public.orders                            40          3  status says closed or void; for example 17; <script>alert(1)</script>
            public.countries                    ≈ 1,200             status says closed or void (sampled 2.4 %, scaled estimate)
            public."<script>alert(1)</script>"        ?             closed is true (not counted: stopped after 300 s)
  vip       public.shops                              0          0  plan = 'gold'
  none in 1 of 5 places looked at

references that nobody declared

  strong  public.orders.shop_code → public.shops.code  12 of 12 values are there; all 12 values are in it

not measured

  could not look at public.<script>alert(1)</script> (no time was left)

links not followed

  orders_friend_fkey of public.orders  not counted (stopped after 300 s)

a plan would ask

open  link:public.orders:orders_customer_id_fkey
      Rows of public.orders reference rows of another tenant.
      choices: hold_aside (default: hold_aside)
"#);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(super::Cell::left("a\u{1b}[31mb\n").text, "a\u{fffd}[31mb\u{fffd}");
    }
}
