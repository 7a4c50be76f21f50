//! What befalls a run at a place, and what it may do then.

use std::fmt;

use bastide_engine::StepRecord;
use bastide_sql::{LockMode, QualifiedName, sql};
use tokio_postgres::Client;

use super::scene::{Came, Places, Scene, Victim};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL of Bastide.
    Kill,
    /// `pg_ctl stop -m immediate`, and the server is started again.
    Crash,
    /// The server ends our connection.
    Cut,
    /// Somebody else has a lock on the step's table until our patience is at its end.
    Lock,
    /// Not a byte is left on the disk of the database.
    Full,
}

pub(crate) const FAULTS: [Fault; 5] = [Fault::Kill, Fault::Crash, Fault::Cut, Fault::Lock, Fault::Full];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::Crash => "crash",
            Self::Cut => "cut",
            Self::Lock => "lock",
            Self::Full => "full",
        })
    }
}

/// What lasts until the run gave way.
enum Lasting {
    Nothing,
    Lock(Client),
    Prepared,
    FullDisk,
}

/// What a journey came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Places at which it was harmed.
    pub(crate) points: u32,
    /// How often a command stopped half-way and another went on.
    pub(crate) stops: u32,
}

const HOLDER: &str = "somebody else";

/// On the way (or back) a run is harmed at each of `places` in turn, and whoever stopped goes on with what it was told to type.
pub(crate) async fn journey(scene: &mut Scene, fault: Fault, places: &[String], back: bool) -> Tally {
    let mut left = places.to_vec();
    let mut tally = Tally::default();
    let mut commands = 0;
    while let Some(command) = scene.next_command(back).await {
        commands += 1;
        assert!(commands <= 2 * places.len() + 10, "it does not come to an end");
        let mut victim = scene.victim(&command, &left);
        tally = harmed(scene, fault, &mut victim, &mut left, tally, back).await;
    }
    tally
}

async fn harmed(
    scene: &mut Scene,
    fault: Fault,
    victim: &mut Victim,
    left: &mut Vec<String>,
    mut tally: Tally,
    back: bool,
) -> Tally {
    let mut lasting = Lasting::Nothing;
    loop {
        match victim.comes().await {
            Came::To(place) => {
                relieve(scene, lasting).await;
                left.retain(|wanted| *wanted != place);
                lasting = harm(scene, fault, &place, tally.points, back).await;
                tally.points += 1;
                if fault == Fault::Kill {
                    victim.kill();
                    return tally;
                }
                victim.goes_on();
            }
            Came::ToAnEnd(code, said) => {
                judge(fault, &lasting, code, &said);
                tally.stops += u32::from(code != Some(0));
                relieve(scene, lasting).await;
                return tally;
            }
        }
    }
}

/// From a place on the way there: harmed, and rolled back. False when nobody came by.
pub(crate) async fn taken_back(scene: &mut Scene, fault: Fault, place: &String) -> bool {
    let mut reached = false;
    while !reached && let Some(command) = scene.next_command(false).await {
        let mut victim = scene.victim(&command, std::slice::from_ref(place));
        match victim.comes().await {
            Came::To(place) => {
                reached = true;
                let lasting = harm(scene, fault, &place, u32::try_from(place.len()).unwrap(), false).await;
                if matches!(lasting, Lasting::Nothing) {
                    // Else it would go on by itself.
                    victim.kill();
                    continue;
                }
                victim.goes_on();
                let Came::ToAnEnd(code, said) = victim.comes().await else { panic!("a second {place}") };
                judge(fault, &lasting, code, &said);
                relieve(scene, lasting).await;
            }
            Came::ToAnEnd(code, said) => assert_eq!(code, Some(0), "{said}"),
        }
    }
    if scene.next_command(true).await.is_some() {
        scene.bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    }
    scene.assert_as_before().await;
    reached
}

async fn harm(scene: &mut Scene, fault: Fault, place: &str, number: u32, back: bool) -> Lasting {
    match fault {
        Fault::Kill => Lasting::Nothing,
        Fault::Crash => {
            scene.crashed = true;
            scene.server.crash();
            scene.server.restart().await;
            Lasting::Nothing
        }
        Fault::Cut => {
            let cut = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = 'bastide'";
            scene.db.execute(cut).await;
            Lasting::Nothing
        }
        Fault::Lock => {
            let steps = scene.run().await.map(|(_, steps)| steps).unwrap_or_default();
            let step = steps.iter().find(|step| place.ends_with(&format!(":{}", step.id)));
            match step.and_then(|step| locked(step, back)) {
                Some((mode, table)) => lock(scene, mode, table, number).await,
                None => Lasting::Nothing,
            }
        }
        Fault::Full => {
            scene.disk.as_ref().unwrap().fill();
            Lasting::FullDisk
        }
    }
}

fn locked(step: &StepRecord, back: bool) -> Option<(LockMode, &QualifiedName)> {
    let script = if back { &step.inverse } else { &step.forward };
    Some((script.lock?, script.locked.first()?))
}

/// The places at which somebody's lock is in the way: before a step that takes one.
pub(crate) async fn lockable(scene: &mut Scene, places: &Places) -> Places {
    scene.travel(false).await;
    let (_, steps) = scene.run().await.unwrap();
    scene.travel(true).await;
    let takes = |back: bool, before: &str| {
        let steps = steps.iter().filter(move |step| locked(step, back).is_some());
        let wanted: Vec<String> = steps.map(|step| format!("{before}:{}", step.id)).collect();
        let places = if back { &places.back } else { &places.on };
        places.iter().filter(|place| wanted.contains(place)).cloned().collect()
    };
    Places { on: takes(false, "before_done"), back: takes(true, "before_undone") }
}

/// A long reader, a writer, or a prepared transaction where one of those is in the way, else whoever is.
async fn lock(scene: &Scene, wanted: LockMode, table: &QualifiedName, number: u32) -> Lasting {
    let mode = match (wanted, number % 3) {
        (LockMode::AccessExclusive, 0) => LockMode::AccessShare,
        (
            LockMode::AccessExclusive | LockMode::Exclusive | LockMode::ShareRowExclusive | LockMode::Share,
            _,
        ) => LockMode::RowExclusive,
        (LockMode::ShareUpdateExclusive, _) => LockMode::ShareUpdateExclusive,
        (LockMode::RowExclusive, _) => LockMode::Share,
        (LockMode::RowShare, _) => LockMode::Exclusive,
        (LockMode::AccessShare, _) => LockMode::AccessExclusive,
    };
    let client = scene.db.client().await;
    client.batch_execute(&format!("SET application_name = '{HOLDER}'; BEGIN")).await.unwrap();
    let taken = client.batch_execute(sql!("LOCK TABLE {} IN {} MODE", table, mode).as_str()).await;
    match taken {
        // A materialised view cannot be locked by hand, and what a dropped table was is in nobody's way.
        Err(_) => Lasting::Nothing,
        Ok(()) if number % 3 == 2 && mode == LockMode::RowExclusive => {
            match client.batch_execute(&format!("PREPARE TRANSACTION '{HOLDER}'")).await {
                Ok(()) => Lasting::Prepared,
                // Real databases come on servers that take none; the failure rolled the lock back as well.
                Err(_) => Lasting::Nothing,
            }
        }
        Ok(()) => Lasting::Lock(client),
    }
}

async fn relieve(scene: &Scene, lasting: Lasting) {
    match lasting {
        Lasting::Nothing => {}
        Lasting::Lock(client) => client.batch_execute("ROLLBACK").await.unwrap(),
        Lasting::Prepared => scene.db.execute(&format!("ROLLBACK PREPARED '{HOLDER}'")).await,
        Lasting::FullDisk => scene.disk.as_ref().unwrap().empty(),
    }
}

/// It came to its end, or stopped half-way and says what to type.
fn judge(fault: Fault, lasting: &Lasting, code: Option<i32>, said: &str) {
    let told = ["bastide rls resume", "bastide rls rollback", "bastide rls status"];
    match (code, lasting) {
        (Some(0), _) => {}
        (Some(4), lasting) => {
            assert!(told.iter().any(|words| said.contains(words)), "what to type next? {said}");
            if matches!(lasting, Lasting::Lock(_) | Lasting::Prepared) {
                assert!(said.contains(HOLDER), "who has the lock? {said}");
            }
        }
        // Where there is no room to stop in, it may have gone back all the way.
        (Some(1 | 3), Lasting::FullDisk) => {}
        _ => panic!("{fault}: exit code {code:?}: {said}"),
    }
}
