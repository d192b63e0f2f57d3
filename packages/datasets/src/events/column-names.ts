/** Column names of event files. This module has no imports, because the process that reads HDF5 loads it. */

/** The properties of events. */
export type Column = "x" | "y" | "t" | "p"

/** The accepted names of each column. */
const names: Readonly<Record<Column, ReadonlyArray<string>>> = {
  x: ["x", "xs"],
  y: ["y", "ys"],
  t: ["t", "ts", "time", "times", "timestamp", "timestamps"],
  p: ["p", "ps", "pol", "polarity", "polarities"],
}

export const columns = Object.keys(names) as ReadonlyArray<Column>

/** The column with this name; undefined for an unknown name. */
export const columnOf = (name: string): Column | undefined =>
  columns.find((column) => names[column].includes(name.toLowerCase()))

/** The accepted names, for error messages. */
export const columnNames: string = columns.map((column) => names[column].join("/")).join(", ")
