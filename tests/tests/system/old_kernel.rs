//! On the system calls of CentOS 7's kernel (promise 25). `KERNEL=3.10` runs any other test so.

use support::{Host, Kernel, Provider};

use crate::scene::token_file;

/// What programs get that call what the kernel lacks, by its number on x86_64, and what it has. The name of each error.
const PROBE: &str = r#"python3 -c '
import ctypes, errno, fcntl, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number):
    failed = libc.syscall(number, -1, 0, 0, 0, 0) < 0
    print(name, errno.errorcode[ctypes.get_errno()] if failed else "there")
for name, number in [("execveat", 322), ("preadv2", 327), ("statx", 332), ("rseq", 334), ("pidfd_send_signal", 424),
        ("clone3", 435), ("close_range", 436), ("openat2", 437), ("faccessat2", 439), ("epoll_pwait2", 441)]:
    call(name, number)
call("close", 3)
lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
file = open("/etc/passwd")
for name, command in [("F_OFD_GETLK", 36), ("F_OFD_SETLK", 37), ("F_OFD_SETLKW", 38), ("F_SETLK", fcntl.F_SETLK)]:
    try:
        fcntl.fcntl(file, command, lock)
        print(name, "there")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
'"#;

fn host() -> Host {
    let host = Host::plan().kernel(Kernel::CentOs7).start();
    host.add_node_key();
    host
}

#[test]
fn what_that_kernel_lacks_is_missing_in_a_login() {
    let answers = host().ssh("alice", PROBE).successful().stdout;
    let (locks, calls): (Vec<_>, Vec<_>) = answers.lines().partition(|line| line.starts_with("F_"));
    assert_eq!(locks, ["F_OFD_GETLK EINVAL", "F_OFD_SETLK EINVAL", "F_OFD_SETLKW EINVAL", "F_SETLK there"]);
    let [missing @ .., close] = &calls[..] else { panic!("{answers}") };
    assert_eq!(*close, "close EBADF", "what it has works as ever");
    assert_eq!(missing.len(), 10);
    assert!(missing.iter().all(|line| line.ends_with(" ENOSYS")), "{answers}");
}

#[test]
fn the_agent_is_under_the_filter_and_does_all_that_a_user_wants() {
    let host = host();
    let provider = Provider::start(&host);
    host.enroll(&provider, "alice");
    let login = host.login("alice");
    let agents = host.agents_of("alice");
    for agent in &agents {
        let status = host.as_root().run(&format!("cat /proc/{}/status", agent.pid)).successful().stdout;
        assert!(status.lines().any(|line| line == "Seccomp:\t2"), "{status}");
    }
    assert!(!agents.is_empty());
    let file = token_file(&login);
    assert!(provider.accepts(&login.read(&file)));
    assert!(provider.accepts(&login.run("iam-session token -s storage.read:/cms").successful().stdout));
    login.run("iam-session status").successful();
    let forgotten = login.run("iam-session forget wlcg");
    assert_eq!(forgotten.status, 0, "{forgotten:?}");
    login.close();
    host.wait_until_gone(&file);
    host.wait_until("the end of the agents", || host.processes_of("alice").is_empty());
}
