//! Preloaded into a host, it stops the module's child as soon as that has become the user, as the user's SIGSTOP may.
#![allow(missing_docs)]

use std::ffi::c_int;

use libc::uid_t;

#[unsafe(no_mangle)]
extern "C" fn setresuid(real: uid_t, effective: uid_t, saved: uid_t) -> c_int {
    // SAFETY: a plain system call.
    let code = unsafe { libc::syscall(libc::SYS_setresuid, real, effective, saved) };
    // SAFETY: a plain system call.
    let this = unsafe { libc::getpid() };
    // SAFETY: a plain system call.
    unsafe { libc::kill(this, libc::SIGSTOP) };
    code as c_int
}
