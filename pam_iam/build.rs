//! How the module is linked. Reads nothing.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // On glibc 2.17 a destructor of thread-local data in a library that was dlclosed crashes its host; libpam
    // dlcloses modules in pam_end(3).
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // Every symbol is resolved before the first hook runs, and the table of them is read-only from then on.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
}
