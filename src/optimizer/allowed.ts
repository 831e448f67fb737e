const words = (text: string) => new Set(text.trim().split(/\s+/))

/** Statements that are explained. */
export const STATEMENTS = words('SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt')

/** Statements that change something, wherever they stand: in a `with`, too. */
export const WRITES = words('InsertStmt UpdateStmt DeleteStmt MergeStmt')

/** What a statement may be made of. What the grammar will know one day is refused until somebody has looked at it. */
export const NODES = new Set([
  ...STATEMENTS,
  ...words(`
    WithClause CommonTableExpr CTESearchClause CTECycleClause ResTarget RangeVar Alias JoinExpr RangeSubselect
    RangeFunction ColumnDef RangeTableSample ColumnRef A_Star A_Const String Integer Float Boolean BitString List ParamRef A_Expr
    BoolExpr NullTest BooleanTest FuncCall NamedArgExpr TypeCast TypeName CollateClause SubLink SortBy WindowDef
    GroupingSet GroupingFunc CaseExpr CaseWhen CoalesceExpr MinMaxExpr SQLValueFunction A_ArrayExpr A_Indices
    A_Indirection RowExpr MultiAssignRef SetToDefault OnConflictClause InferClause IndexElem LockingClause
    MergeWhenClause ReturningClause`),
])

/** Samples of tables that PostgreSQL brings along. */
export const SAMPLES = words('system bernoulli')

/**
 * Functions of PostgreSQL that change nothing, wait for nothing, read no file, reach nobody and make little of much: the
 * planner calls functions of constants, so that whatever `explain` may see it may also run.
 */
export const FUNCTIONS = words(`
  count sum avg min max any_value array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and bool_or
  every bit_and bit_or stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp
  percentile_cont percentile_disc mode row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value
  last_value nth_value
  lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim substring substr
  position strpos left right reverse overlay split_part starts_with concat ascii chr md5 decode
  like_escape similar_escape similar_to_escape regexp_like translate
  abs ceil ceiling floor round trunc sign mod sqrt ln log exp greatest least width_bucket random
  now transaction_timestamp statement_timestamp clock_timestamp date_trunc date_part extract date_bin age make_date
  make_interval make_timestamptz to_timestamp to_date to_char to_number timezone isfinite justify_days
  gen_random_uuid coalesce nullif num_nulls num_nonnulls
  array_length array_position cardinality array_append array_prepend array_cat array_remove
  string_to_array unnest array_lower array_upper
  json_array_length jsonb_array_length json_extract_path_text jsonb_extract_path_text jsonb_extract_path
  jsonb_array_elements jsonb_array_elements_text json_array_elements json_array_elements_text jsonb_each jsonb_each_text
  jsonb_object_keys json_object_keys jsonb_to_recordset json_to_recordset jsonb_to_record json_to_record jsonb_typeof
  json_typeof jsonb_set jsonb_strip_nulls
  to_tsvector to_tsquery plainto_tsquery websearch_to_tsquery phraseto_tsquery ts_rank ts_rank_cd
  lower_inc upper_inc isempty tstzrange tsrange int4range int8range daterange numrange
  current_schema current_schemas current_database pg_typeof format_type pg_get_expr pg_get_indexdef
  pg_get_constraintdef pg_table_is_visible obj_description col_description`)
