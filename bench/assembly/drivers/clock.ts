// The host's clock, as the module "clock".

/** Milliseconds since some fixed moment, with a fraction. */
export declare function now(): f64;
