export * from "./builder.ts"
export * from "./graph.ts"
export * from "./json.ts"
