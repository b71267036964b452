use serde_json::{Value, json};

use super::*;

fn read(value: &Value) -> Result<PolicyDraft, Vec<String>> {
    let mut problems = Problems::default();
    let draft = PolicyDraft::read(value, "policy", &mut problems);
    draft.ok_or_else(|| problems.iter().map(|problem| problem.path.clone()).collect())
}

#[test]
fn blanks_are_filled() {
    let policy = read(&json!({ "runtime_type": "process" })).unwrap().normalize();
    assert_eq!(policy, Policy { runtime_type: RuntimeType::Process, ..Policy::default() });
    let all = json!({
        "host": "sandbox", "security": "full", "ask": "on-miss", "runtime_type": "runc",
        "workspace_access": "ro", "network_enabled": false, "interactive": true,
        "resources": { "cpu": 1.5, "memory": "512MiB", "gpu": 1 },
        "retry": { "attempts": 5, "delay_ms": 100 },
    });
    let policy = read(&all).unwrap().normalize();
    assert_eq!(policy.resources.cpu_millis, Some(1500));
    assert_eq!(policy.resources.memory_bytes, Some(512 << 20));
    assert_eq!(policy.retry, Attempts { attempts: 5, delay_ms: 100 });
}

#[test]
fn everything_wrong_is_named() {
    let wrong = json!({
        "host": "moon", "ask": 1, "network_enabled": "no", "colour": "red",
        "resources": { "cpu": 0, "memory": "much", "disk": 1 },
        "retry": { "attempts": 0 },
    });
    let mut paths = read(&wrong).unwrap_err();
    paths.sort();
    let wanted = [
        "policy.ask",
        "policy.colour",
        "policy.host",
        "policy.network_enabled",
        "policy.resources.cpu",
        "policy.resources.disk",
        "policy.resources.memory",
        "policy.retry.attempts",
    ];
    assert_eq!(paths, wanted);
    assert_eq!(read(&json!("gvisor")).unwrap_err(), ["policy"]);
}

#[test]
fn narrowing_takes_the_stricter_of_each_field_whatever_the_order() {
    let own = read(&json!({ "runtime_type": "process", "resources": { "memory": 100 } })).unwrap();
    let other = json!({
        "network_enabled": false, "workspace_access": "none", "ask": "always",
        "resources": { "memory": 50, "cpu": 1 }, "retry": { "attempts": 1, "delay_ms": 5 },
    });
    let other = read(&other).unwrap();
    let narrowed = own.clone().narrow(other.clone());
    assert_eq!(narrowed, other.narrow(own.clone()));
    assert_eq!(narrowed.runtime_type, Some(RuntimeType::Process), "only one of them speaks of it");
    assert_eq!(narrowed.network_enabled, Some(false));
    assert_eq!(narrowed.resources.memory_bytes, Some(50));
    assert_eq!(narrowed.clone().narrow(narrowed.clone()), narrowed);
    assert_eq!(PolicyDraft::settle([None, None]), None);
    assert_eq!(PolicyDraft::settle([None, Some(own.clone())]), Some(own.normalize()));
}

#[test]
fn the_class_knows_all_but_the_retry() {
    let name: Name = "triager".parse().unwrap();
    let class = |policy: &Policy| Policy::class_id(Some(policy), &Scope::Global, &name, None);
    let policy = Policy::default();
    let patient = Policy { retry: Attempts { attempts: 9, delay_ms: 1 }, ..policy.clone() };
    let offline = Policy { network_enabled: false, ..policy.clone() };
    assert_eq!(class(&policy), class(&patient));
    assert_ne!(class(&policy), class(&offline));
    let lane: Name = "slow".parse().unwrap();
    assert_ne!(class(&policy), Policy::class_id(Some(&policy), &Scope::Global, &name, Some(&lane)));
    assert_ne!(class(&policy), Policy::class_id(None, &Scope::Global, &name, None));
}

#[test]
fn a_worker_lacks_the_first_thing_it_cannot_enforce() {
    let process = Enforces {
        host: [HostKind::Sandbox].into(),
        security: [Security::Allowlist, Security::Full].into(),
        runtime_type: [RuntimeType::Process].into(),
        workspace_access: [WorkspaceAccess::Rw].into(),
        memory: true,
        ..Enforces::default()
    };
    let policy = Policy { runtime_type: RuntimeType::Process, ..Policy::default() };
    assert_eq!(process.unmet(&policy), None);
    let lacking = |policy: Policy| process.unmet(&policy).unwrap();
    assert_eq!(lacking(Policy::default()), "runtime_type = gvisor");
    let offline = Policy { network_enabled: false, ..policy.clone() };
    assert_eq!(lacking(offline), "network_enabled = false");
    let limited = Resources { memory_bytes: Some(1), ..Resources::default() };
    assert_eq!(process.unmet(&Policy { resources: limited, ..policy.clone() }), None);
    let limited = Resources { cpu_millis: Some(1), ..limited };
    assert_eq!(lacking(Policy { resources: limited, ..policy }), "resources.cpu = a limit");
}
