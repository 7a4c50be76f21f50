//! The kill matrix: fixture × fault × places, resumed and rolled back, for as long as there is time. What `./x soak migrate` runs;
//! as one test among others it takes one unit of each fault.
//!
//! A unit is `fixture/fault/way/round`; which places it takes follows from that and the seed alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use bastide_engine::RunState;

use super::{
    fixture::{self, Fixture, NEW_ROOT, SMALL},
    harm::{FAULTS, Fault, journey, lockable, taken_back},
    kind,
    scene::{Places, Scene},
    small_disk::{may_mount, tell},
};

/// What `x` passes on.
struct Asked {
    time: Duration,
    fixture: Option<String>,
    unit: Option<String>,
    seed: u64,
    json: Option<String>,
}

impl Asked {
    fn read() -> Option<Self> {
        let word = |name: &str| std::env::var(name).ok().filter(|word| !word.is_empty());
        let minutes: f64 = word("BASTIDE_SOAK_MINUTES")?.parse().expect("a number of minutes");
        Some(Self {
            time: Duration::from_secs_f64(minutes * 60.0),
            fixture: word("BASTIDE_SOAK_FIXTURE"),
            unit: word("BASTIDE_SOAK_UNIT"),
            seed: word("BASTIDE_SOAK_SEED").map_or(1, |seed| seed.parse().expect("a number")),
            json: word("BASTIDE_SOAK_JSON"),
        })
    }

    /// One unit for each fault on the smallest fixture, a few seconds each.
    fn a_taste() -> Self {
        let fixture = Some(SMALL.name.to_owned());
        Self { time: Duration::ZERO, fixture, unit: None, seed: 1, json: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    Resume,
    Rollback,
    /// Resumed from every place, of kinds of step for which this fixture is the first.
    Full,
}

#[derive(Clone)]
struct Unit {
    fixture: Fixture,
    fault: Fault,
    way: Way,
    round: u32,
}

impl Unit {
    fn name(&self) -> String {
        let way = match self.way {
            Way::Resume => "resume",
            Way::Rollback => "rollback",
            Way::Full => "full",
        };
        format!("{}/{}/{way}/{}", self.fixture.name, self.fault, self.round)
    }
}

#[derive(Clone, Copy, Default, serde::Serialize)]
struct Row {
    /// Of all that a run of this fixture passes, there and back.
    places: usize,
    harmed: u32,
    stopped: u32,
    resumed: u32,
    rolled_back: u32,
    seconds: f64,
}

/// Fixtures with what was found out about them, so that it is found out once.
type Known = BTreeMap<&'static str, (Places, Places)>;

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_holds() {
    if !may_mount("crash::soak::the_matrix_holds") {
        return;
    }
    let asked = Asked::read();
    let taste = asked.is_none();
    let asked = asked.unwrap_or_else(Asked::a_taste);
    let begun = Instant::now();
    let mut matrix: BTreeMap<String, Row> = BTreeMap::new();
    let (mut known, mut failed, mut left) = (Known::new(), Vec::new(), 0);
    for unit in units(&asked, taste) {
        if begun.elapsed() >= asked.time && !taste {
            left += u32::from(unit.round == 0);
            continue;
        }
        let name = unit.name();
        tell(&format!("{:>5.0} s  {name}", begun.elapsed().as_secs_f64()));
        let key = format!("{:<16} {}", unit.fixture.name, unit.fault);
        let (at, seed, of_it) = (Instant::now(), asked.seed, known.get(unit.fixture.name).cloned());
        let ran = tokio::spawn(async move { run(&unit, seed, of_it).await });
        match ran.await {
            Ok(Some((fixture, places, row))) => {
                known.insert(fixture, places);
                let total = matrix.entry(key).or_default();
                total.places = row.places;
                total.harmed += row.harmed;
                total.stopped += row.stopped;
                total.resumed += row.resumed;
                total.rolled_back += row.rolled_back;
                total.seconds += at.elapsed().as_secs_f64();
            }
            Ok(None) => {}
            Err(_) => failed.push(format!("./x soak migrate --seed {} --unit {name}", asked.seed)),
        }
    }
    tell(&table(&matrix));
    tell(&format!(
        "seed {}, {:.0} s; {left} units of the first round were not reached in the time",
        asked.seed,
        begun.elapsed().as_secs_f64()
    ));
    if let Some(file) = &asked.json {
        std::fs::write(file, serde_json::to_string_pretty(&matrix).unwrap() + "\n").unwrap();
    }
    assert!(failed.is_empty(), "these differed; each by itself again with\n{}", failed.join("\n"));
    assert!(matrix.values().map(|row| row.harmed).sum::<u32>() > 0, "nothing was harmed");
}

/// First every fixture and fault once, then in full what is to be run in full, then other places for as long as there is time.
fn units(asked: &Asked, taste: bool) -> Vec<Unit> {
    let fixtures = fixture::all();
    let fixtures: Vec<Fixture> = fixtures
        .into_iter()
        .filter(|fixture| asked.fixture.as_ref().is_none_or(|name| name == fixture.name))
        .collect();
    assert!(!fixtures.is_empty(), "there is no fixture of this name");
    let of = |way: Way, round: u32, fixtures: &[Fixture]| {
        let each = fixtures.iter().flat_map(move |fixture| FAULTS.map(|fault| (*fixture, fault)));
        each.map(move |(fixture, fault)| Unit { fixture, fault, way, round }).collect::<Vec<_>>()
    };
    if taste {
        return of(Way::Rollback, 0, &fixtures);
    }
    let mut units = of(Way::Resume, 0, &fixtures);
    units.extend(of(Way::Rollback, 0, &fixtures));
    let first: Vec<Fixture> = fixtures
        .iter()
        .filter(|fixture| [SMALL.name, NEW_ROOT.name].contains(&fixture.name))
        .copied()
        .collect();
    units.extend(of(Way::Full, 0, &first));
    for round in 1..1000 {
        units.extend(of(Way::Resume, round, &fixtures));
        units.extend(of(Way::Rollback, round, &fixtures));
    }
    if let Some(wanted) = &asked.unit {
        units.retain(|unit| unit.name() == *wanted);
        assert!(!units.is_empty(), "there is no unit {wanted}");
    }
    units
}

async fn run(
    unit: &Unit,
    seed: u64,
    known: Option<(Places, Places)>,
) -> Option<(&'static str, (Places, Places), Row)> {
    let mut scene = Scene::of(&unit.fixture, unit.fault == Fault::Full).await?;
    let (every, lockable) = match known {
        Some(known) => known,
        None => {
            let places = scene.places().await;
            let lockable = lockable(&mut scene, &places).await;
            (places, lockable)
        }
    };
    let places = if unit.fault == Fault::Lock { &lockable } else { &every };
    let mut row = Row { places: places.on.len() + places.back.len(), ..Row::default() };
    let mut chance = Chance::of(unit, seed);
    match unit.way {
        Way::Resume => {
            let picked = Places {
                on: chance.some(&places.on, 6, unit.fault),
                back: chance.some(&places.back, 4, unit.fault),
            };
            there_and_back(&mut scene, unit.fault, &picked, &mut row).await;
        }
        Way::Full => {
            let first =
                |place: &&String| unit.fixture.name == SMALL.name || kind(place) == "create_tenant_root";
            let of = |places: &[String]| places.iter().filter(first).cloned().collect::<Vec<_>>();
            let picked = Places { on: of(&places.on), back: of(&places.back) };
            there_and_back(&mut scene, unit.fault, &picked, &mut row).await;
        }
        Way::Rollback => {
            for place in chance.some(&places.on, 2, unit.fault) {
                let reached = taken_back(&mut scene, unit.fault, &place).await;
                row.harmed += u32::from(reached);
                row.rolled_back += u32::from(reached);
            }
        }
    }
    Some((unit.fixture.name, (every, lockable), row))
}

async fn there_and_back(scene: &mut Scene, fault: Fault, places: &Places, row: &mut Row) {
    let there = journey(scene, fault, &places.on, false).await;
    assert_eq!(scene.state().await, Some(RunState::CutOver));
    scene.bastide.run(&["rls", "validate"]).expect(0);
    let back = journey(scene, fault, &places.back, true).await;
    scene.assert_as_before().await;
    row.harmed += there.points + back.points;
    row.stopped += there.stops + back.stops;
    row.resumed += there.points + back.points;
    row.rolled_back += 1;
}

/// The same for the same unit and seed.
struct Chance(u64);

impl Chance {
    fn of(unit: &Unit, seed: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (unit.name(), seed).hash(&mut hasher);
        Self(hasher.finish())
    }

    fn below(&mut self, bound: usize) -> usize {
        // Knuth's; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// In the order in which they are passed.
    fn some(&mut self, places: &[String], many: usize, fault: Fault) -> Vec<String> {
        // Each costs a lost patience of several seconds where the lock is a patient one.
        let many = if fault == Fault::Lock { many.div_ceil(2) } else { many };
        let mut picked = BTreeSet::new();
        for _ in 0..many {
            if !places.is_empty() {
                picked.insert(self.below(places.len()));
            }
        }
        picked.into_iter().map(|at| places[at].clone()).collect()
    }
}

fn table(matrix: &BTreeMap<String, Row>) -> String {
    let mut text = format!(
        "{:<22} {:>7} {:>7} {:>7} {:>8} {:>12} {:>8}\n",
        "fixture          fault", "places", "harmed", "stopped", "resumed", "rolled back", "seconds"
    );
    let mut all = Row::default();
    let line = |name: &str, row: &Row| {
        format!(
            "{name:<22} {:>7} {:>7} {:>7} {:>8} {:>12} {:>8.1}\n",
            row.places, row.harmed, row.stopped, row.resumed, row.rolled_back, row.seconds
        )
    };
    for (name, row) in matrix {
        text.push_str(&line(name, row));
        all.places += row.places;
        all.harmed += row.harmed;
        all.stopped += row.stopped;
        all.resumed += row.resumed;
        all.rolled_back += row.rolled_back;
        all.seconds += row.seconds;
    }
    text + &line("all", &all)
}
