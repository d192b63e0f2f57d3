/** What files call the properties of events. It imports nothing, for the process that reads HDF5. */

/** The properties of events. */
export type Column = "x" | "y" | "t" | "p"

/** The names that files have for each column. */
const names: Readonly<Record<Column, ReadonlyArray<string>>> = {
  x: ["x", "xs"],
  y: ["y", "ys"],
  t: ["t", "ts", "time", "times", "timestamp", "timestamps"],
  p: ["p", "ps", "pol", "polarity", "polarities"],
}

export const columns = Object.keys(names) as ReadonlyArray<Column>

/** The column that a name stands for. */
export const columnOf = (name: string): Column | undefined =>
  columns.find((column) => names[column].includes(name.toLowerCase()))

/** What a file may call them, for errors. */
export const columnNames: string = columns.map((column) => names[column].join("/")).join(", ")
