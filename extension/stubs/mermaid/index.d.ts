declare const mermaid: Record<string, never>;
export default mermaid;
