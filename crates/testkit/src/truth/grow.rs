//! Random worlds, in a form that proptest can make smaller: genes that a world grows from.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};

use super::world::{Key, Reference, Row, Says, Table, TenantKey, Through, Truth, World};

/// What may be wrong with a world, besides that most of its tenants are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: no link joins two tenants, every row is of one.
    Clean,
    /// Some rows are truly used by several tenants, and at least two of the rows that use each say whose they are.
    Shared,
    /// The same, but what uses them may have lost its tenant.
    Unseen,
    /// A few per cent of the links join rows of any two tenants.
    Crossing,
}

#[derive(Clone, Debug)]
struct TableGene {
    key: Key,
    legacy_column: bool,
    /// Per cent of rows whose tenant column is NULL.
    hidden: u32,
    references: Vec<usize>,
    rule: Option<Says>,
    rows: Vec<RowGene>,
}

#[derive(Clone, Debug)]
struct RowGene {
    tenant: u32,
    several: u32,
    says: u32,
    ruled: bool,
    picks: Vec<usize>,
    wave: u8,
}

const TENANTS: u32 = 3;
const REFERENCES: usize = 4;
/// Half of the references are foreign keys.
const THROUGH: usize = 6;

/// `waves` > 0: some rows are written later, in waves 1 to `waves`.
pub fn worlds(kind: Kind, waves: u8) -> impl Strategy<Value = World> {
    let picks = vec(0..10_000_usize, REFERENCES);
    let ruled = prop::bool::weighted(0.15);
    let row = (0..TENANTS, 0..100_u32, 0..100_u32, ruled, picks, 0..=2 * waves).prop_map(
        move |(tenant, several, says, ruled, picks, wave)| {
            // Half of the rows are there from the beginning.
            RowGene { tenant, several, says, ruled, picks, wave: wave.saturating_sub(waves) }
        },
    );
    let rule = prop_oneof![
        3 => Just(None), 1 => Just(Some(Says::Expression)), 1 => Just(Some(Says::Mapping)), 1 => Just(Some(Says::Csv))
    ];
    let key = prop_oneof![
        3 => Just(Key::Integer), 1 => Just(Key::Text), 1 => Just(Key::None), 1 => Just(Key::Composite),
        1 => Just(Key::Partitioned)
    ];
    let hidden = match kind {
        Kind::Shared => select(vec![30, 50, 75]),
        Kind::Clean | Kind::Unseen | Kind::Crossing => select(vec![50, 85, 97, 100]),
    };
    let references = vec(0..64_usize * THROUGH, 0..REFERENCES);
    let table = (key, prop::bool::weighted(0.7), hidden, references, rule, vec(row, 0..25));
    let table = table.prop_map(|(key, legacy_column, hidden, references, rule, rows)| TableGene {
        key,
        legacy_column,
        hidden,
        references,
        rule,
        rows,
    });
    let tenant_key = select(vec![TenantKey::Integer, TenantKey::Text, TenantKey::Uuid]);
    (tenant_key, vec(table, 2..9)).prop_map(move |(tenant_key, genes)| grow(kind, tenant_key, &genes))
}

fn grow(kind: Kind, tenant_key: TenantKey, genes: &[TableGene]) -> World {
    let mut world = World { tenant_key, tables: genes.iter().map(|gene| table(kind, gene)).collect() };
    root(&mut world.tables[0]);
    // What has a key can be referenced; a reference of the root to itself would always cross.
    let referable: Vec<usize> =
        (0..world.tables.len()).filter(|&t| t == 0 || world.tables[t].key != Key::None).collect();
    for (t, gene) in genes.iter().enumerate() {
        let to = gene.references.iter().map(|&pick| referable[pick % referable.len()]);
        let through = gene.references.iter().map(|&pick| pick / 64);
        let to: Vec<(usize, usize)> = to.zip(through).filter(|&(to, _)| t != 0 || to != 0).collect();
        world.tables[t].references = to
            .iter()
            .map(|&(to, pick)| Reference { to, through: through_which(to, pick), not_null: false })
            .collect();
        for r in 0..world.tables[t].rows.len() {
            let picks = gene.rows.get(r).map_or(&[][..], |row| &row.picks);
            let links = to.iter().enumerate().map(|(at, &(to, _))| {
                let pick = picks.get(at).copied().unwrap_or_default();
                link(kind, &world.tables[to], world.tables[t].rows[r].truth, pick)
            });
            let links = links.collect();
            world.tables[t].rows[r].links = links;
        }
    }
    if kind == Kind::Shared {
        part_from_unseen(&mut world);
    }
    for t in 0..world.tables.len() {
        for r in 0..world.tables[t].references.len() {
            let never_waits = |table: &Table| table.rows.iter().all(|row| row.wave == 0);
            let (from, to) = (&world.tables[t], &world.tables[world.tables[t].references[r].to]);
            let filled = from.rows.iter().all(|row| row.links[r].is_some());
            // The quarantine tenant, a row of the root, points at nothing.
            world.tables[t].references[r].not_null = t != 0 && filled && never_waits(from) && never_waits(to);
        }
    }
    world
}

fn table(kind: Kind, gene: &TableGene) -> Table {
    let rule = gene.rule.map(|rule| if gene.key == Key::None { Says::Expression } else { rule });
    let rows = gene.rows.iter().map(|row| {
        let several = matches!(kind, Kind::Shared | Kind::Unseen) && row.several >= 88;
        let truth = if several { Truth::Several } else { Truth::Tenant(row.tenant + 1) };
        let says = gene.legacy_column && !several && row.says >= gene.hidden;
        // A file names rows that are there, by their key.
        let named = rule.is_some_and(|rule| rule != Says::Csv || row.wave == 0);
        let ruled = named && row.ruled && !several;
        Row { truth, own: says.then_some(row.tenant + 1), ruled, links: Vec::new(), wave: row.wave }
    });
    let rows = rows.collect();
    Table { key: gene.key, legacy_column: gene.legacy_column, references: Vec::new(), rule, rows }
}

fn through_which(to: usize, pick: usize) -> Through {
    match pick {
        0..=2 => Through::ForeignKey,
        4 if to == 0 => Through::Code,
        5 if to == 0 => Through::Number,
        _ => Through::Key,
    }
}

/// Its rows are the tenants, all there from the beginning.
fn root(table: &mut Table) {
    table.key = Key::Integer;
    table.legacy_column = true;
    table.rule = None;
    let tenant = |tenant| Row {
        truth: Truth::Tenant(tenant),
        own: Some(tenant),
        ruled: false,
        links: Vec::new(),
        wave: 0,
    };
    table.rows = (1..=TENANTS).map(tenant).collect();
}

/// 0 points at nothing, which is what proptest makes of a pick that does not matter.
fn link(kind: Kind, to: &Table, from: Truth, pick: usize) -> Option<usize> {
    if pick.is_multiple_of(4) {
        return None;
    }
    let crosses = kind == Kind::Crossing && (pick / 4).is_multiple_of(25);
    let fits = |row: &Row| crosses || row.truth == from || row.truth == Truth::Several;
    let fitting: Vec<usize> = (0..to.rows.len()).filter(|&at| fits(&to.rows[at])).collect();
    (!fitting.is_empty()).then(|| fitting[pick % fitting.len()])
}

/// A shared row that fewer than two tenants visibly use from the beginning is used by no tenant.
fn part_from_unseen(world: &mut World) {
    let mut seen: Vec<Vec<BTreeSet<u32>>> =
        world.tables.iter().map(|table| vec![BTreeSet::new(); table.rows.len()]).collect();
    for table in &world.tables {
        for row in table.rows.iter().filter(|row| row.wave == 0) {
            for (reference, to) in table.references.iter().zip(&row.links) {
                let now = to.filter(|&to| world.tables[reference.to].rows[to].wave == 0);
                if let (Some(to), Some(own)) = (now, row.own) {
                    seen[reference.to][to].insert(own);
                }
            }
        }
    }
    let several: Vec<Vec<bool>> = world
        .tables
        .iter()
        .map(|table| table.rows.iter().map(|row| row.truth == Truth::Several).collect())
        .collect();
    for table in &mut world.tables {
        for row in table.rows.iter_mut().filter(|row| row.truth != Truth::Several) {
            for (reference, to) in table.references.iter().zip(&mut row.links) {
                *to = to.filter(|&to| !several[reference.to][to] || seen[reference.to][to].len() > 1);
            }
        }
    }
}
