// The type of build/bindings/inlineModules.js, which inline.build.mjs writes.

/** The release module, in base64. */
export const release: string;

/** The debug module, in base64. */
export const debug: string;
