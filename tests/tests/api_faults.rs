//! An API server that is slow, refuses, fails, hangs, closes watches and lists what is old: claims come
//! right once it is well, no container is ended or started again meanwhile, and it is asked seldom
//! enough.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use huly_tests::{
    ApiProxy, Asked, Churn, Fault, Layout, Program, SOON, Scenario, Stay, Verb, eventually,
    measured, scenario,
};
use serde_json::json;

const CLAIMS: &str = "/containerclaims";
const STATUS: &str = "/status";
const LEASES: &str = "/leases/";

/// How long claims may take to be bound again after a fault of which it is noticed that it is over.
const RIGHT: Duration = Duration::from_secs(60);
/// The same where an answer is awaited that never comes: 30 s, and then a delay.
const GIVEN_UP: Duration = Duration::from_secs(120);

/// An operator behind a proxy, claims that come and go, and two that stay.
struct Behind {
    proxy: ApiProxy,
    operator: Program,
    churn: Churn,
    stay: Stay,
}

impl Behind {
    async fn start(test: &mut Scenario, flags: &[(&str, &str)]) -> Result<Self> {
        let (proxy, operator) = behind_a_proxy(test, flags).await?;
        let stay = Stay::claimed(test, json!({})).await?;
        let churn = Churn::start(test, &stay).await?;
        churn.bound_more(5, SOON).await?;
        Ok(Self {
            proxy,
            operator,
            churn,
            stay,
        })
    }

    /// Does something wrong while the load goes on, also to whoever watches already, until it was met
    /// a few times; then it is well again, and claims are bound. Says what was asked meanwhile.
    async fn suffer(&mut self, name: &str, faults: &[Wrong], load: usize) -> Result<Suffered> {
        let begun = Instant::now();
        for (verbs, path, fault) in faults {
            self.proxy.fault(verbs, path, *fault);
        }
        self.proxy.cut().await?;
        self.churn
            .goes_on(load)
            .await
            .with_context(|| name.to_owned())?;
        let met = |asked: &Asked| {
            let wrong =
                |(verbs, path, _): &Wrong| verbs.contains(&asked.verb) && asked.path.contains(path);
            faults.iter().any(wrong)
        };
        let expired = |(_, _, fault): &Wrong| matches!(fault, Fault::Status(410) | Fault::Expired);
        let expired = faults.iter().any(expired);
        let asked = eventually(SOON, "the fault is met", async || {
            let asked = self.proxy.asked_since(begun);
            let times = asked.iter().filter(|asked| met(asked)).count();
            ensure!(times >= 3, "{name}: {times} times");
            // From a version that is too old nothing goes on.
            let lists = asked
                .iter()
                .filter(|asked| asked.verb == Verb::List)
                .count();
            ensure!(!expired || lists >= 3, "{name}: {lists} lists");
            Ok(asked)
        })
        .await?;
        self.proxy.heal();
        let healed = Instant::now();
        let bound = self.churn.bound_more(5, RIGHT).await;
        bound.with_context(|| format!("after {name}"))?;
        measured(
            &format!("{name} is over → claims are bound"),
            healed.elapsed(),
        );
        measured(
            &format!("{name}: {} requests in", asked.len()),
            healed - begun,
        );
        Ok(Suffered {
            asked,
            lasted: healed - begun,
        })
    }

    /// Ends the loads: all is right, and was so all the time.
    async fn comes_right(self, test: &mut Scenario) -> Result<()> {
        self.churn.comes_right(test, RIGHT).await?;
        self.stay.are_untouched(test).await?;
        // What containers do is none of the operator's.
        test.end_load(SOON).await?.nothing_restarted()
    }
}

type Wrong = (&'static [Verb], &'static str, Fault);

/// What came of a fault.
struct Suffered {
    /// What was asked meanwhile.
    asked: Vec<Asked>,
    /// How long it went on.
    lasted: Duration,
}

impl Suffered {
    /// What was answered with 429.
    fn refused(&self) -> Vec<&Asked> {
        let refused = |asked: &&Asked| asked.status == Some(429);
        self.asked.iter().filter(refused).collect()
    }

    fn count(&self, verb: Verb) -> usize {
        let asked = self.asked.iter().filter(|asked| asked.verb == verb);
        asked.count()
    }
}

async fn behind_a_proxy(
    test: &mut Scenario,
    flags: &[(&str, &str)],
) -> Result<(ApiProxy, Program)> {
    test.network.operator.terminate().await?;
    let proxy = test.network.api_proxy().await?;
    let operator = test.network.another_operator("behind", flags)?;
    let mut operator = operator.variable("KUBECONFIG", proxy.kubeconfig());
    operator.start().await?;
    Ok((proxy, operator))
}

async fn says(operator: &Program, texts: &[&str]) -> Result<()> {
    eventually(SOON, "/readyz says what is wrong", async || {
        let (status, body) = operator.page("/readyz").await?;
        let all = texts.iter().all(|text| body.contains(text));
        ensure!(status == 503 && all, "{status}: {body}");
        Ok(())
    })
    .await
}

async fn errors(operator: &Program, reason: &str) -> Result<f64> {
    let metrics = operator.metrics().await?;
    metrics.sum("huly_operator_errors_total", &[("reason", reason)])
}

#[tokio::test]
async fn watches_that_end_and_answers_that_are_cut_come_right() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut behind = Behind::start(test, &[]).await?;
        let watch: &[Verb] = &[Verb::Watch];
        for (name, fault) in [
            ("410 instead of a watch", Fault::Status(410)),
            ("410 as a watch's event", Fault::Expired),
            ("a watch that is closed as it begins", Fault::Closed(0)),
            ("a watch that is closed after an event", Fault::Closed(1)),
            ("a watch that is cut in an event", Fault::Cut),
            ("500 instead of a watch", Fault::Status(500)),
        ] {
            let suffered = behind.suffer(name, &[(watch, "", fault)], 25).await?;
            let watches = suffered.count(Verb::Watch);
            // One event a watch is slow, and no failure.
            let seconds = suffered.lasted.as_secs();
            let bounded = fault == Fault::Closed(1) || watches as u64 <= 50 + 3 * seconds;
            ensure!(bounded, "{name}: {watches} watches in {seconds} s");
        }
        let cut: &[Wrong] = &[(&[Verb::List, Verb::Watch, Verb::Patch], "", Fault::Cut)];
        behind.suffer("all answers cut", cut, 25).await?;
        behind.comes_right(test).await
    })
    .await
}

#[tokio::test]
async fn writes_that_fail_are_written_later() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut behind = Behind::start(test, &[]).await?;
        let patch: &[Verb] = &[Verb::Patch];
        let slow: &[Wrong] = &[(&Verb::ALL, "", Fault::Late(Duration::from_millis(300)))];
        behind.suffer("slowness", slow, 25).await?;
        for (name, fault) in [
            ("409", Fault::Status(409)),
            ("500", Fault::Status(500)),
            ("403", Fault::Status(403)),
        ] {
            let suffered = behind.suffer(name, &[(patch, STATUS, fault)], 25).await?;
            let writes = suffered.count(Verb::Patch);
            // What fails for all is tried one at a time; else each claim has its own delays.
            let seconds = suffered.lasted.as_secs();
            let most = match fault {
                Fault::Status(500) => 20 + 2 * seconds,
                _ => 30 * (3 + seconds),
            };
            ensure!(writes as u64 <= most, "{name}: {writes} in {seconds} s");
        }
        let metrics = behind.operator.metrics().await?;
        for outcome in ["conflict", "failed"] {
            let labels = [("kind", "ContainerClaim"), ("outcome", outcome)];
            let count = metrics.sum("huly_operator_status_writes_total", &labels)?;
            ensure!(count > 0.0, "no write was a {outcome}");
        }
        behind.comes_right(test).await
    })
    .await
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_kept() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut behind = Behind::start(test, &[]).await?;
        let proxy = &behind.proxy;
        let begun = Instant::now();
        proxy.fault_times(&[Verb::Patch], STATUS, Fault::Busy(6), 1);
        let refused = eventually(SOON, "a write is refused", async || {
            let asked = proxy.asked_since(begun);
            let refused = asked.iter().find(|asked| asked.status == Some(429));
            Ok(refused.context("none is")?.at)
        })
        .await?;
        behind.churn.bound_more(5, RIGHT).await?;
        // What was on its way then is not meant, nor the Lease.
        let pause = refused + Duration::from_secs(1)..refused + Duration::from_millis(5_900);
        let asked = proxy.asked_since(begun).into_iter();
        let meant = |asked: &Asked| !asked.path.contains(LEASES) && pause.contains(&asked.at);
        let meanwhile: Vec<Asked> = asked.filter(meant).collect();
        ensure!(meanwhile.is_empty(), "it asked {meanwhile:?}");
        let (list, watch): (&[Verb], &[Verb]) = (&[Verb::List], &[Verb::Watch]);
        let busy = Fault::Busy(1);
        let wrongs: [(&str, &[Wrong]); 4] = [
            ("429 instead of a watch", &[(watch, "", busy)]),
            (
                "429 instead of a list",
                &[(list, "", busy), (watch, "", Fault::Expired)],
            ),
            ("429 to the Lease", &[(&Verb::ALL, LEASES, busy)]),
            ("429 to everything", &[(&Verb::ALL, "", busy)]),
        ];
        for (name, faults) in wrongs {
            let suffered = behind.suffer(name, faults, 25).await?;
            let refused = suffered.refused();
            let (count, seconds) = (refused.len(), suffered.lasted.as_secs());
            ensure!(count >= 3, "{name}: {count} refused");
            // Each kind of object is listed and watched by itself, and the Lease has its own times.
            ensure!(
                count as u64 <= 10 + 5 * seconds,
                "{name}: {count} refused in {seconds} s"
            );
        }
        behind.comes_right(test).await
    })
    .await
}

#[tokio::test]
async fn an_api_server_that_fails_is_asked_seldom() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut behind = Behind::start(test, &[]).await?;
        let errors_before = errors(&behind.operator, "watch_claims").await?;
        for fault in [Fault::Status(500), Fault::Status(503)] {
            behind.proxy.fault(&Verb::ALL, "", fault);
            behind.proxy.cut().await?;
            let texts = ["a watch of ContainerClaims", "the Lease"];
            says(&behind.operator, &texts).await?;
            behind.proxy.heal();
            behind.churn.bound_more(5, RIGHT).await?;
            let name = format!("{fault:?} to everything");
            let suffered = behind.suffer(&name, &[(&Verb::ALL, "", fault)], 40).await?;
            let (asked, seconds) = (suffered.asked.len(), suffered.lasted.as_secs());
            ensure!(
                asked as u64 <= 40 + 4 * seconds,
                "{name}: asked {asked} times in {seconds} s"
            );
        }
        let errors = errors(&behind.operator, "watch_claims").await?;
        ensure!(errors > errors_before, "none is counted");
        behind.operator.await_ready().await?;
        behind.comes_right(test).await
    })
    .await
}

#[tokio::test]
async fn one_that_is_away_for_longer_than_the_lease_is_led_again() -> Result<()> {
    let short = [
        ("--lease-seconds", "5"),
        ("--lease-renew-ms", "3000"),
        ("--lease-retry-ms", "500"),
    ];
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut behind = Behind::start(test, &short).await?;
        for refuses in [true, false] {
            match refuses {
                true => behind.proxy.refuse().await,
                false => behind.proxy.fault(&Verb::ALL, "", Fault::Unanswered),
            }
            let operator = &behind.operator;
            eventually(SOON, "it stops leading", async || {
                let leads = operator.metrics().await?.sum("huly_operator_leader", &[])?;
                ensure!(leads == 0.0, "it leads");
                Ok(())
            })
            .await?;
            says(operator, &["the Lease", "an operator to lead"]).await?;
            behind.churn.goes_on(20).await?;
            behind.stay.live_on(test).await?;
            match refuses {
                true => behind.proxy.listen().await?,
                false => behind.proxy.heal(),
            }
            let well = Instant::now();
            behind.churn.bound_more(5, GIVEN_UP).await?;
            measured("an API server is back → claims are bound", well.elapsed());
        }
        behind.comes_right(test).await
    })
    .await
}

#[tokio::test]
async fn a_watch_that_says_nothing_is_given_up() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let mut behind = Behind::start(test, &[]).await?;
        behind.proxy.fault(&[Verb::Watch], "", Fault::Silent);
        behind.proxy.cut().await?;
        let begun = Instant::now();
        let watches = async || {
            let asked = behind.proxy.asked_since(begun);
            let watches = asked.iter().filter(|asked| asked.verb == Verb::Watch);
            ensure!(watches.count() >= 3, "not all are silent");
            Ok(())
        };
        eventually(SOON, "all watches are silent", watches).await?;
        behind.proxy.heal();
        behind.churn.bound_more(5, GIVEN_UP).await?;
        measured("a watch is silent → claims are bound", begun.elapsed());
        behind.comes_right(test).await
    })
    .await
}

#[tokio::test]
async fn a_list_that_is_old_releases_nothing() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        let (mut proxy, mut operator) = behind_a_proxy(test, &[]).await?;
        // None of them is in the list that the operator began with.
        proxy.remember_lists();
        let stay = Stay::claimed(test, json!({})).await?;

        proxy.fault(&[Verb::List], CLAIMS, Fault::Old);
        proxy.fault(&[Verb::Watch], CLAIMS, Fault::Expired);
        proxy.cut().await?;
        releases_nothing(test, &operator, &stay).await?;
        proxy.heal();
        operator.await_ready().await?;
        stay.are_untouched(test).await?;

        // Nor does one that has just started, and has seen nothing newer than its Lease.
        operator.kill().await?;
        proxy.fault(&[Verb::List], CLAIMS, Fault::Old);
        operator.spawn()?;
        releases_nothing(test, &operator, &stay).await?;
        proxy.heal();
        operator.await_ready().await?;
        stay.are_untouched(test).await?;

        let (namespace, kind) = (stay.namespace(), stay.kind());
        test.counter(namespace, kind, "more", 1).await?;
        test.end_load(SOON).await?.nothing_restarted()
    })
    .await
}

/// Waits until the operator says that the list is old, and for as long as it takes that what nobody
/// holds is ended.
async fn releases_nothing(test: &Scenario, operator: &Program, stay: &Stay) -> Result<()> {
    says(
        operator,
        &["a watch of ContainerClaims", "which is older than"],
    )
    .await?;
    test.live.idle_out(Stay::KIND, SOON).await?;
    stay.live_on(test).await
}
