//! The seccomp filter: a small program for the kernel's packet filter, by seccomp(2). Changes this process for good.

use std::io;
use std::mem::offset_of;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, EINVAL, ENOSYS, PR_SET_SECCOMP,
    SECCOMP_MODE_FILTER, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SYS_copy_file_range, SYS_fcntl,
    SYS_finit_module, SYS_getrandom, SYS_memfd_create, SYS_renameat2, SYS_seccomp, seccomp_data, sock_filter,
    sock_fprog,
};

/// Numbers of x86_64 are given out in order, and 3.10 has all up to this one.
const LAST: libc::c_long = SYS_finit_module;
/// And these younger ones, which were added to 3.10.0-1160.
const ADDED: [libc::c_long; 5] =
    [SYS_renameat2, SYS_seccomp, SYS_getrandom, SYS_memfd_create, SYS_copy_file_range];
/// AUDIT_ARCH_X86_64 of linux/audit.h: a 64-bit little-endian machine, and EM_X86_64.
const ARCHITECTURE: u32 = 0xC000_003E;
/// F_OFD_GETLK and F_OFD_SETLKW of linux/fcntl.h; F_OFD_SETLK is between.
const FIRST_OFD: u32 = 36;
const LAST_OFD: u32 = 38;

/// Puts this process and all that it starts under the filter.
pub(crate) fn install() -> io::Result<()> {
    let mut program = program();
    let description = sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel reads the description and the program it points to, both of which live until it has.
    let result = unsafe { libc::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &raw const description) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Each test is followed by what is done where it holds.
fn program() -> Vec<sock_filter> {
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(BPF_JEQ, ARCHITECTURE, 1, 0),
        fail(ENOSYS),
        load(offset_of!(seccomp_data, nr)),
        jump(BPF_JEQ, number(SYS_fcntl), 0, 5),
        load(offset_of!(seccomp_data, args) + size_of::<u64>()), // the command; little-endian, the low half comes first
        jump(BPF_JGT, LAST_OFD, 2, 0),
        jump(BPF_JGT, FIRST_OFD - 1, 0, 1),
        fail(EINVAL),
        allow(),
    ];
    for call in ADDED {
        program.extend([jump(BPF_JEQ, number(call), 0, 1), allow()]);
    }
    program.extend([jump(BPF_JGT, number(LAST), 0, 1), fail(ENOSYS), allow()]);
    program
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn load(offset: usize) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, u32::try_from(offset).unwrap_or(u32::MAX))
}

/// How many instructions are passed over where the test holds, and where it does not.
fn jump(test: u32, value: u32, holds: u8, not: u8) -> sock_filter {
    sock_filter { jt: holds, jf: not, ..statement(BPF_JMP | test | BPF_K, value) }
}

fn allow() -> sock_filter {
    statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
}

fn fail(errno: i32) -> sock_filter {
    statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: 0, jf: 0, k }
}
