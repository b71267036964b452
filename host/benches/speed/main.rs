//! What Hillock costs, as ratios within one run: `cargo bench --bench speed`.
//!
//! | figure | compared with |
//! |---|---|
//! | webhooks accepted durably per second | a bare axum handler that verifies the same HMAC and commits the same body to the same SQLite settings with natural group commit |
//! | a filter call, a prompt | their limits, 10 µs and 50 µs |
//! | a tick with 100 jobs due of 100 000 stored | the same of 1 000 stored |
//! | 1 000 jobs due at once, claimed | its limit, 1 s; on PostgreSQL a millisecond away |
//! | a claim with 1 000 000 commands queued, by one worker and by 16 at once | the same with 1 000 |
//! | idle memory, time to ready | their limits, 60 MiB and 300 ms |
//! | memory of 1 000 idle workers | its limit, 100 MiB more than none |
//! | a command's way from the API call to the worker | its limit, 20 ms at the median |
//!
//! Server and load generator share this machine's cores; the two servers take turns.

mod bare;
mod guests;
mod host;
mod jobs;
mod load;
mod payload;
mod place;
mod queue;
mod workers;

use std::time::Duration;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);

fn main() {
    // `cargo bench -- jobs` passes `--bench` as well.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", folder] => return runtime().block_on(bare::serve(folder.as_ref())),
        // For looking at a server from outside while it is busy.
        ["load", address, path] => {
            let rate = runtime().block_on(load::rate(address, path, ROUND));
            return println!("{rate:.0}/s");
        }
        ["queue"] => return runtime().block_on(queue::measure()),
        ["workers"] => return runtime().block_on(workers::measure(&host::Host::prepare())),
        ["jobs"] => return runtime().block_on(jobs::measure()),
        _ => {}
    }
    runtime().block_on(async {
        guests::measure().await;
        let host = host::Host::prepare();
        host.measure_start().await;
        accepted(&host).await;
        jobs::measure().await;
        queue::measure().await;
        workers::measure(&host).await;
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// Rates in turn, so that a machine that changes its speed changes it for both.
async fn accepted(host: &host::Host) {
    for (name, trigger) in [
        ("no trigger considers the event", host::Trigger::None),
        ("a trigger's filter refuses the event", host::Trigger::Refuses),
    ] {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let bare = host.bare_rate(ROUND).await;
            let hillock = host.hillock_rate(trigger, ROUND).await;
            println!("  bare {bare:>7.0}/s   hillock {hillock:>7.0}/s   {:.2}", hillock / bare);
            ratios.push(hillock / bare);
        }
        println!("accepted, {name}: {} of the bare handler (at least 0.5)", spread(ratios));
    }
}

/// The median, and between what it lies.
fn spread(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let (first, last) = (figures[0], figures[figures.len() - 1]);
    format!("{:.2} ({first:.2} to {last:.2})", figures[figures.len() / 2])
}
