/** The layout layer: everything that lies in a region's files, declared once. */
export * from './define-layout';
export * from './blocks';
export * from './region-file';
export * from './process-file';
export * from './link-file';
export * from './records';
export * from './ip-address';
export * from './reach';
