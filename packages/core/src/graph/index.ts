export * from "./builder.ts"
export * from "./graph.ts"
