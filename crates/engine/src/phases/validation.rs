//! Posture and probes, as the application's own login wherever there is one. What they find fails the run.

use bastide_plan::{Phase, Plan};
use bastide_verify::{App, Options, Progress, Verdict};

use crate::{EngineError, Event, Listener, MigrationGuard, Place, app_login, run::Course};

pub(crate) async fn run(course: &mut Course<'_>) -> Result<Verdict, EngineError> {
    let plan = course.plan().clone();
    verify(&mut course.guard, &course.options.place, &plan, Phase::Validation, course.listener).await
}

pub(crate) async fn verify(
    guard: &mut MigrationGuard,
    place: &Place,
    plan: &Plan,
    phase: Phase,
    listener: Listener<'_>,
) -> Result<Verdict, EngineError> {
    let login = app_login::target(place, plan)?;
    if login.is_none() {
        let text = format!(
            "no login of {} is known, so probes run by SET ROLE, which is weaker; give --app-url or BASTIDE_APP_URL",
            plan.config.app_role
        );
        listener(&Event::Notice { text });
    }
    let app = login.as_ref().map_or(App::SetRole(&plan.config.app_role), App::Login);
    let progress = |progress: Progress<'_>| {
        let text = match progress {
            Progress::Posture { checks } => format!("posture: {checks} checks"),
            Progress::Probing { object, done, total } => format!("probing {object} ({done} of {total})"),
        };
        listener(&Event::Activity { phase, text });
    };
    let options = Options { production: false, progress: Some(&progress) };
    let verdict = bastide_verify::verify(guard.client_mut(), app, options).await?;
    guard.settle().await?;
    judged(verdict)
}

fn judged(verdict: Verdict) -> Result<Verdict, EngineError> {
    if verdict.isolated() {
        return Ok(verdict);
    }
    let (findings, breaches) = (verdict.open_findings().count(), verdict.breaches().count());
    let first = verdict
        .breaches()
        .next()
        .map(|probe| format!("{} was not refused", probe.cell))
        .or_else(|| verdict.open_findings().next().map(|f| format!("{} {}: {}", f.id, f.object, f.message)))
        .or_else(|| verdict.unanswered().next().map(|probe| format!("{} has no answer", probe.cell)))
        .unwrap_or_else(|| "nothing was probed, which proves nothing".to_owned());
    Err(EngineError::NotIsolated { findings, breaches, first, verdict: Box::new(verdict) })
}
