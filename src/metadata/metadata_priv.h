// For the files of src/metadata: cells of tables.
#ifndef LG_METADATA_METADATA_PRIV_H
#define LG_METADATA_METADATA_PRIV_H

#include "metadata/metadata.h"

// 0 for a rid that is out of range.
uint32_t lg_md_column(const struct lg_metadata *md, unsigned table, uint32_t rid, unsigned column);
// The token that a coded index stands for; 0 if none.
uint32_t lg_md_coded_token(const struct lg_metadata *md, unsigned table, uint32_t rid, unsigned column);

#endif
