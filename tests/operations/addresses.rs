//! Where addresses are short, components' memories are made one by one: under a limit on them here,
//! as on kernels that have few and in sandboxes that give few.

use tokio::process::Command;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::Process;
use crate::harness::senders::Delivery;

/// A thousandth of what the pool of memories takes, in KiB.
const ADDRESSES_KIB: u64 = 6 * 1024 * 1024;

const CONFIG: &str = r#"
    [[agents]]
    name = "agent"
    [[endpoints]]
    slug = "open"
    verification = "none"
    [[triggers]]
    name = "one"
    event = "webhook"
    agent = "agent"
    filter = { "data.a" = "1" }
    prompt = "{{data.a}}"
"#;

/// The host, where so many addresses are all there are.
fn limited(folder: &Folder) -> Process {
    let serve = folder.hillock(&[]);
    let serve = serve.as_std();
    let script = format!("ulimit -v {ADDRESSES_KIB}; exec \"$0\" serve --config hillock.toml");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(serve.get_program()).env_clear().kill_on_drop(true);
    command.current_dir(folder.path());
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("HILLOCK_LISTEN", "127.0.0.1:0").env("HILLOCK_STORE_URL", folder.store_url());
    Process::start(command, &folder.path().join("serve.log"))
}

#[tokio::test]
async fn a_host_short_of_addresses_works_and_says_so() {
    let folder = Folder::new(Database::sqlite(), CONFIG).await;
    let host = Host::ready(&folder, limited(&folder)).await;
    folder.keep_compiled();
    for (body, outcome) in [("{\"a\":1}", "fired"), ("{\"a\":2}", "filtered")] {
        let id = host.deliver("open", Delivery::new(&[], body.as_bytes())).await.event_id(202);
        assert_eq!(host.decided(&id).await["decisions"][0]["outcome"], outcome);
    }
    let written = host.process.written();
    assert!(written.contains("not enough address space"), "{written}");
}
