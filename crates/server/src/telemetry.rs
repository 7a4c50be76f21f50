//! What Prometheus reads at `/metrics`. No label names a tenant, a user or a path.
//!
//! The recorder is the application's own and never the process's: two applications in one process do not mix their figures.

use bastide_commerce::rows::CrossingKind;
use bastide_tenancy::{Outcome, Round, Standing};
use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub(crate) struct Telemetry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    pub(crate) recorded: Counter,
    pub(crate) dropped: Counter,
    pub(crate) throttled: Counter,
    pub(crate) reused: Counter,
    drift: Gauge,
    shut: Gauge,
    last_success: Gauge,
}

const META: Metadata<'static> = Metadata::new("bastide_server", Level::INFO, None);

const PROBES: &str = "bastide_isolation_probes_total";
const MISMATCHES: &str = "bastide_tenant_mismatch_total";

impl Telemetry {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let describe = |name: &'static str, what: &'static str| {
            recorder.describe_counter(KeyName::from(name), Some(Unit::Count), SharedString::from(what));
        };
        describe(PROBES, "What the watch's probes showed: held, breached or untested.");
        describe(MISMATCHES, "Requests whose parts named different merchants, refused.");
        describe("bastide_audit_recorded_total", "Refused crossings written to bastide.crossing.");
        describe("bastide_audit_dropped_total", "Refused crossings that were not recorded.");
        describe("bastide_throttled_total", "Tries to sign in or up that were told to wait.");
        describe(
            "bastide_refresh_reused_total",
            "Refresh tokens that came back after their use; each ended a session.",
        );
        let gauge = |name: &'static str, what: &'static str| {
            recorder.describe_gauge(KeyName::from(name), None, SharedString::from(what));
            recorder.register_gauge(&Key::from_name(name), &META)
        };
        let drift = gauge("bastide_isolation_drift", "What is not as it was when the server began.");
        let shut = gauge("bastide_isolation_shut", "1 while nothing is served because of a breach.");
        let last_success = gauge(
            "bastide_isolation_last_success_timestamp_seconds",
            "When the watch last saw that tenants are kept apart; 0: not yet.",
        );
        let counter = |name| recorder.register_counter(&Key::from_name(name), &META);
        let (recorded, dropped) =
            (counter("bastide_audit_recorded_total"), counter("bastide_audit_dropped_total"));
        let (throttled, reused) =
            (counter("bastide_throttled_total"), counter("bastide_refresh_reused_total"));
        let handle = recorder.handle();
        let telemetry =
            Self { recorder, handle, recorded, dropped, throttled, reused, drift, shut, last_success };
        // A series that is not there yet cannot be alerted on.
        CrossingKind::ALL.into_iter().for_each(|kind| telemetry.mismatches(kind).increment(0));
        for result in ["held", "breached", "untested"] {
            telemetry.probes("bound", result).increment(0);
        }
        telemetry
    }

    pub(crate) fn mismatches(&self, kind: CrossingKind) -> Counter {
        let labels = vec![Label::from_static_parts("kind", kind.name())];
        self.recorder.register_counter(&Key::from_parts(MISMATCHES, labels), &META)
    }

    pub(crate) fn looked(&self, round: &Round, unix_seconds: f64) {
        for probe in &round.probes {
            let result = match probe.outcome {
                Outcome::Held => "held",
                Outcome::Breached(_) => "breached",
                Outcome::Untested(_) => "untested",
            };
            self.probes(probe.name, result).increment(1);
        }
        // What could not be read says nothing of how it is now.
        if let Some(drift) = &round.drift {
            self.drift.set(u32::try_from(drift.len()).unwrap_or(u32::MAX));
        }
        self.shut.set(u8::from(round.shut));
        if round.standing() == Standing::Isolated && !round.shut {
            self.last_success.set(unix_seconds);
        }
    }

    /// The text format.
    pub(crate) fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    fn probes(&self, name: &'static str, result: &'static str) -> Counter {
        let labels =
            vec![Label::from_static_parts("probe", name), Label::from_static_parts("result", result)];
        self.recorder.register_counter(&Key::from_parts(PROBES, labels), &META)
    }
}
