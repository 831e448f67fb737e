/** A failure a person can mend; its message is the one line they see. */
export class CommandError extends Error {}
