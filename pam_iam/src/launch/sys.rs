//! System calls that nix does not have, or has only with an allocation, each behind a safe face. One unsafe
//! operation a block.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::{ptr, slice};

use nix::errno::Errno;
use nix::unistd::Pid;

/// linux/capability.h: two 32-bit words of each set.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// The kernel's sigset_t, in bytes; not glibc's.
const KERNEL_SIGSET: usize = 8;

/// Which side of a fork(2) this is.
#[derive(Debug)]
pub(super) enum Forked {
    /// The one that was there before.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Ends the process when it is dropped, which is while a panic unwinds.
pub(super) struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        exit()
    }
}

/// struct __user_cap_header_struct.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// struct __user_cap_data_struct, twice.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Capabilities([[u32; 3]; 2]);

/// fork(3) by glibc, whose handlers keep malloc usable in the child.
pub(super) fn fork() -> nix::Result<Forked> {
    // SAFETY: the child of either fork runs only `child::run` and `exit`, never the host's code (see launch.rs).
    let pid = unsafe { libc::fork() };
    match Errno::result(pid)? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(pid))),
    }
}

/// Ends this process at once: no exit handler of the host's runs, and none of its buffers is written twice.
pub(super) fn exit() -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(1) }
}

/// Takes a descriptor that a system call has just made.
pub(super) fn own(descriptor: RawFd) -> nix::Result<OwnedFd> {
    let descriptor = Errno::result(descriptor)?;
    // SAFETY: the caller has it from fcntl(F_DUPFD_CLOEXEC), so it is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Descriptor 1. Not by std's handle, which allocates.
pub(super) fn standard_output() -> BorrowedFd<'static> {
    // SAFETY: the child has put the status pipe there, and ends or execs with it open.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Zeroed memory that is never given back: for the child, which execs or ends. Not from malloc, where a failure would
/// be an abort, and whose lock another thread of the host may have held at the fork.
pub(super) fn room(bytes: usize) -> nix::Result<&'static mut [u8]> {
    let start = map(bytes)?;
    // SAFETY: so many bytes have just been mapped, zeroed, for nobody else and for good.
    Ok(unsafe { slice::from_raw_parts_mut(start.cast(), bytes) })
}

/// The same for gids.
pub(super) fn room_for_gids(count: usize) -> nix::Result<&'static mut [u32]> {
    let start = map(count.checked_mul(size_of::<u32>()).ok_or(Errno::ENOMEM)?)?;
    // SAFETY: as in `room`; a page is aligned for everything, and zeros are gids.
    Ok(unsafe { slice::from_raw_parts_mut(start.cast(), count) })
}

fn map(bytes: usize) -> nix::Result<*mut c_void> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, at an address that is the kernel's to choose, touches none that is there.
    let start = unsafe { libc::mmap64(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(start) }
}

/// Sets a signal to its default, by the kernel's own call: glibc's sigaction(3) refuses the two real-time signals
/// that it uses itself, and they may be ignored here by inheritance.
pub(super) fn default_action(signal: c_int) {
    // SIG_DFL, no flags, no restorer and an empty mask are all zeros, in whatever order an architecture has them.
    let action = [0_u64; 4];
    let no_old = ptr::null_mut::<c_void>();
    // SAFETY: the kernel reads one struct kernel_sigaction, of 32 bytes at most, and writes nothing. It refuses
    // SIGKILL, SIGSTOP and numbers that are no signal.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), no_old, KERNEL_SIGSET) };
}

/// setgroups(2), with plain gids.
pub(super) fn set_groups(groups: &[u32]) -> nix::Result<()> {
    // SAFETY: the pointer and the length are of one slice.
    let code = unsafe { libc::setgroups(groups.len(), groups.as_ptr()) };
    Errno::result(code).map(drop)
}

/// getgroups(2) without an allocation; how many there are.
pub(super) fn get_groups(groups: &mut [u32]) -> nix::Result<usize> {
    let room = c_int::try_from(groups.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: there is room for as many gids as is said.
    let count = unsafe { libc::getgroups(room, groups.as_mut_ptr()) };
    usize::try_from(Errno::result(count)?).map_err(|_| Errno::EINVAL)
}

/// Empties the effective, permitted and inheritable sets, and with the last one the ambient set (capabilities(7)).
pub(super) fn drop_capabilities() -> nix::Result<()> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let none = Capabilities::default();
    // SAFETY: both structures are the kernel's, and live for the call.
    let code = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const none) };
    Errno::result(code).map(drop)
}

/// Whether the three sets are empty.
pub(super) fn has_no_capability() -> nix::Result<bool> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut read = Capabilities([[u32::MAX; 3]; 2]);
    // SAFETY: both structures are the kernel's, and live for the call.
    let code = unsafe { libc::syscall(libc::SYS_capget, &raw const header, &raw mut read) };
    Errno::result(code).map(|_| read == Capabilities::default())
}

/// close_range(2) of `first` and all above it.
pub(super) fn close_from(first: RawFd) -> nix::Result<()> {
    // SAFETY: the caller is the child, in which nothing owns a descriptor that it goes on to use.
    let code = unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, 0) };
    Errno::result(code).map(drop)
}

/// getdents64(2): how many bytes of `buffer` hold entries; none at the end.
pub(super) fn directory_entries(directory: &OwnedFd, buffer: &mut [u8]) -> nix::Result<usize> {
    // SAFETY: the pointer and the length are of one slice.
    let code = unsafe {
        libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
    };
    usize::try_from(Errno::result(code)?).map_err(|_| Errno::EINVAL)
}

/// execve(2) of `program` with its path as its only argument; returns only if that failed.
pub(super) fn exec(program: &CStr, variable: &CStr) -> Errno {
    let argv = [program.as_ptr(), ptr::null()];
    let environment = [variable.as_ptr(), ptr::null()];
    // SAFETY: both arrays end with a null and hold C strings that live for the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    Errno::last()
}
